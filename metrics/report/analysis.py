"""What the page of an evaluation says, in numbers."""
from __future__ import annotations

import json
from typing import NamedTuple

from common import whole_file

import numpy as np

from data.flat_records import FlatRecords
from metrics.matching import Matched, match_results
from metrics.mistakes import KINDS, Mistakes, find_mistakes
from metrics.operating import Calibration, Operating, best_operating, calibrate, confusion_matrix
from metrics.resampled import COLUMNS, Curves, columns_of

ANALYSED = ("bbox", "segm")    # what mistakes are looked for in


class Analysis(NamedTuple):
    """
    Attributes:
        matched: objects and detections of boxes, or of masks
        precisions: float64 (C, COLUMNS), COCO's average precision of each class; NaN for one without objects
        counts: int64 (C,), objects of each class that count
        mistakes, operating, calibration: of `metrics.mistakes` and `metrics.operating`
        confusion: int64 (C + 1, C + 1), from the threshold of the best F1 of all classes on
    """

    matched: Matched
    precisions: np.ndarray
    counts: np.ndarray
    mistakes: Mistakes
    operating: Operating
    calibration: Calibration
    confusion: np.ndarray

    @property
    def threshold(self) -> float:
        """The score of the best F1 of all classes together; 0 where nothing is right"""
        return float(np.nan_to_num(self.operating.threshold[0]))


def analyse(results, dataset, kind="bbox") -> Analysis:
    """Args: results (list of dict): COCO results; dataset (data.Dataset); kind (str): of ANALYSED"""
    matched = match_results(results, dataset, kind)
    curves = Curves(matched, len(FlatRecords.of(dataset.records)))
    operating = best_operating(matched)
    counts = np.bincount(matched.objects.labels[matched.objects.counts], minlength=len(dataset.class_names) + 1)[1:]
    return Analysis(matched, columns_of(curves.average_precision())[0], counts, find_mistakes(matched), operating,
                    calibrate(matched), confusion_matrix(matched, float(np.nan_to_num(operating.threshold[0]))))


def write_numbers(path, analyses, dataset):
    """Write what the page says as a json file, for programs. Raises: UserError: it cannot be written"""
    content = {kind: _numbers(analysis, dataset.class_names) for kind, analysis in analyses.items()}
    with whole_file(path, encoding="utf-8") as f:
        json.dump(content, f, indent=1)


def _numbers(analysis, class_names):
    mistakes, operating = analysis.mistakes, analysis.operating
    calibration = analysis.calibration
    return {
        "AP50 gained": {kind: number(mistakes.gain(kind)) for kind in mistakes.gains},
        "mistakes": {kind: mistakes.count(kind) for kind in KINDS},
        "best F1": _operating_of(operating, 0),
        "calibration": {"ECE": number(calibration.ece), "detections": calibration.counts.tolist(),
                        "confidence": list(map(number, calibration.confidence)),
                        "precision": list(map(number, calibration.precision))},
        "confusion": {"threshold": analysis.threshold, "classes": ["background", *class_names],
                      "objects by detections": analysis.confusion.tolist()},
        "classes": {name: {
            "objects": int(analysis.counts[k]), **dict(zip(COLUMNS, map(number, analysis.precisions[k]))),
            "best F1": _operating_of(operating, k + 1), "ECE": number(calibration.ece_of_classes[k]),
            "AP50 gained": {kind: number(gains[k]) for kind, gains in mistakes.gains.items()}}
            for k, name in enumerate(class_names)}}


def _operating_of(operating, k):
    return {name: number(values[k]) for name, values in operating._asdict().items()}


def number(value):
    """Returns: float, or None for NaN, which json has not"""
    return None if np.isnan(value) else round(float(value), 6)

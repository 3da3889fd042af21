"""Pictures of what the network thinks on its way from an image to its detections. Images are BGR uint8."""
from typing import NamedTuple

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

from inference.overlaps import box_iou
from viz.detections import draw_detections
from viz.drawing import draw_box, draw_dashed_box, draw_label, enlarge, instance_color, line_width
from viz.ground_truth import MARK, draw_ground_truth, of_record
from viz.heatmaps import draw_keypoint_heatmap, draw_mask_heatmap, keypoint_color
from viz.panels import Panel, join_panels

MIN_EDGE = 480       # an image with a shorter short edge is enlarged
MAX_BOXES = 60       # that are drawn on one picture; more could not be told apart
MAX_CLASSES = 40     # in the legend
OBJECT = (255, 255, 255)


class Thresholds(NamedTuple):
    """
    What of the stages is drawn.

    Attributes:
        objectness (float): of proposals, at least
        score (float): of classes, before NMS and behind it, at least
        match_iou (float): of a proposal with an object, at least
        nms_iou (float): beyond it, the better of two boxes of a class stays
        keypoint (float): as of `viz.detections.draw_detections`
    """

    objectness: float
    score: float
    match_iou: float
    nms_iou: float
    keypoint: float = 0.05

    @classmethod
    def of(cls, cfg):
        """Returns: Thresholds, as the TEST part of a config and FRCNN.FG_THRESH have them"""
        test = cfg.TEST
        return cls(test.OBJECTNESS_THRESH_VIS, test.RESULT_SCORE_THRESH_VIS, cfg.FRCNN.FG_THRESH,
                   test.FRCNN_NMS_THRESH, test.KEYPOINT_SCORE_THRESH_VIS)


def draw_stages(image, stages, thresholds, record=None, heatmaps=False):
    """
    Draw, side by side: the ground truth, the best proposals, the proposals that match the ground truth, the boxes of
    the box head before NMS, and the detections; colours tell the classes.

    Args:
        image: uint8 (h, w, 3), BGR; it is not changed
        stages (inference.stages.Stages): of the image
        thresholds (Thresholds)
        record (data.Record): the ground truth, with labels of the detections' classes; None where it is not known
        heatmaps (bool): also draw probabilities of masks and of keypoints, where there are any

    Returns:
        uint8 (H, W, 3)
    """
    found = stages.detections
    shown = found.select(found.scores >= thresholds.score)
    panels = [_draw_proposals(image, stages, thresholds), _draw_classes(image, stages, thresholds),
              Panel(f"{len(shown)} detections", f"behind NMS, score >= {thresholds.score:g}",
                    draw_detections(image, shown, 0, thresholds.keypoint, MIN_EDGE, _class_colors(shown.labels)))]
    labels = [shown.labels, stages.labels[stages.scores >= thresholds.score]]
    if record is not None:
        panels.insert(0, _draw_truth(image, record, found))
        panels.insert(2, _draw_matches(image, stages, thresholds, record))
        labels.append(record.labels)
    legend = _legend(np.unique(np.concatenate(labels)).tolist(), found.class_names)
    if heatmaps:
        panels += _draw_heatmaps(image, shown)
        legend += _keypoint_legend(shown)
    return join_panels(panels, legend)


def class_color(label):
    """Returns: (int, int, int), BGR of a class, 1..N"""
    return instance_color(int(label) - 1)


def _class_colors(labels):
    return [class_color(label) for label in labels]


def _draw_truth(image, record, found):
    truth = of_record(record, found.class_names)
    edges = found.skeleton.edges if found.skeleton and record.keypoints is not None else ()
    regions = f", {truth.is_region.sum()} of them crowds or difficult" if truth.is_region.any() else ""
    return Panel("ground truth", f"{len(truth.names)} objects{regions}",
                 draw_ground_truth(image, truth, edges, MIN_EDGE, _class_colors(record.labels)))


def _draw_proposals(image, stages, thresholds):
    canvas, factor = enlarge(image, MIN_EDGE)
    there = int((stages.objectness >= thresholds.objectness).sum())
    best = min(there, MAX_BOXES)
    shades = np.rint(255 * stages.objectness[:best]).astype(np.uint8).reshape(-1, 1)
    colors = cv2.applyColorMap(shades, cv2.COLORMAP_PLASMA)[:, 0].tolist() if best else []
    for box, color in reversed(list(zip(stages.proposals, colors))):
        draw_box(canvas, box * factor, color, _thin(canvas))
    note = f"objectness >= {thresholds.objectness:g}, from blue to yellow" + _limited(there)
    return Panel(f"{there} proposals", note, canvas)


def _draw_matches(image, stages, thresholds, record):
    """Of each object the proposal that fits it best, or that there is none"""
    canvas, factor = enlarge(image, MIN_EDGE)
    line, taken = line_width(canvas), []
    objects = record.select(~(record.is_crowd | record.is_difficult))
    overlaps = box_iou(objects.boxes, stages.proposals)
    best = overlaps.max(axis=1, initial=0)
    matched = best >= thresholds.match_iou
    for i, box in enumerate(objects.boxes * factor):
        color = class_color(objects.labels[i]) if matched[i] else MARK
        draw_dashed_box(canvas, box, OBJECT if matched[i] else MARK, line)
        if matched[i]:
            draw_box(canvas, stages.proposals[overlaps[i].argmax()] * factor, color, line)
        draw_label(canvas, f"{best[i]:.2f}" if matched[i] else f"none, {best[i]:.2f}", box, color, taken)
    num_matching = int((overlaps.max(axis=0, initial=0) >= thresholds.match_iou).sum())
    return Panel(f"proposals of {matched.sum()} of {len(objects.labels)} objects",
                 f"the best of each, of {num_matching} with IoU >= {thresholds.match_iou:g}; dashed: the object",
                 canvas)


def _draw_classes(image, stages, thresholds):
    canvas, factor = enlarge(image, MIN_EDGE)
    there = np.flatnonzero(stages.scores >= thresholds.score)
    drawn = there[np.argsort(-stages.scores[there], kind="stable")][:MAX_BOXES]
    boxes, labels = stages.boxes[drawn], stages.labels[drawn]
    leaders = suppressors(boxes, labels, thresholds.nms_iou)
    for i in range(len(drawn) - 1, -1, -1):
        draw_box(canvas, boxes[i] * factor, class_color(labels[i]), _thin(canvas))
    taken = []
    for i in np.flatnonzero(leaders == np.arange(len(drawn))):
        times = int((leaders == i).sum())
        text = f"{stages.detections.class_names[labels[i] - 1]} {stages.scores[drawn[i]]:.2f}"
        draw_label(canvas, text + f" x{times}" * (times > 1), boxes[i] * factor, class_color(labels[i]), taken)
    return Panel(f"{len(there)} boxes before NMS",
                 f"likeliest class with score >= {thresholds.score:g}, xN: that NMS makes one" + _limited(len(there)),
                 canvas)


def suppressors(boxes, labels, iou):
    """
    Args:
        boxes: (N, 4), labels (N,), by falling score
        iou (float): of NMS

    Returns:
        int (N,), which box of its class stays in place of each; of those that stay it is their own number
    """
    overlaps = box_iou(boxes, boxes)
    leaders = np.arange(len(boxes))
    for i in range(len(boxes)):
        before = np.flatnonzero((leaders[:i] == np.arange(i)) & (labels[:i] == labels[i]) & (overlaps[:i, i] > iou))
        leaders[i] = before[0] if len(before) else i
    return leaders


def _draw_heatmaps(image, shown):
    panels = []
    if shown.mask_probs is not None:
        panels.append(Panel("mask probabilities", "dark: 0, bright: 1, line: 0.5",
                            draw_mask_heatmap(image, shown, 0, MIN_EDGE)))
    if shown.keypoint_logits is not None:
        panels.append(Panel("keypoint heatmaps", "opaque: the likeliest place of each keypoint",
                            draw_keypoint_heatmap(image, shown, 0, MIN_EDGE)))
    return panels


def _legend(labels, class_names):
    names = [(class_names[label - 1], class_color(label)) for label in labels[:MAX_CLASSES]]
    return names + [(f"and {len(labels) - MAX_CLASSES} more", OBJECT)] * (len(labels) > MAX_CLASSES)


def _keypoint_legend(shown):
    own = {k for label in shown.labels.tolist() for k in shown.skeleton.of_label(label)} if shown.skeleton else ()
    return [(f"keypoint {shown.skeleton.names[k]}", keypoint_color(k)) for k in sorted(own)]


def _thin(canvas):
    return max(line_width(canvas) // 2, 1)


def _limited(count):
    return f"; the best {MAX_BOXES} are drawn" if count > MAX_BOXES else ""

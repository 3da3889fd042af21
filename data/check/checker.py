"""Checks the data sets of a config."""
import contextlib
import os
from typing import NamedTuple

from common import UserError

from data.check.anchors import Fit, fit_anchors
from data.check.categories import check_categories
from data.check.kinds import KINDS
from data.check.pictures import check_images
from data.check.rules import check_split
from data.check.source import with_annotation_ids
from data.check.split import make_split
from data.records import collecting_problems
from data.registry import load_datasets


class Checked(NamedTuple):
    """
    Attributes:
        splits: list of Split, those to train on first
        fit: of their objects to the anchors
        problems: list of Problem, all that were found
    """

    splits: list
    fit: Fit
    problems: list

    def without(self, kinds):
        """Returns: Checked, without the problems of some kinds"""
        return self._replace(problems=[problem for problem in self.problems if problem.kind not in kinds])


def check(cfg, open_images=False):
    """
    Args:
        cfg (AttrDict): DATA, MODE_MASK, PREPROC, RPN and FPN
        open_images (bool): also check the image files

    Returns:
        Checked

    Raises:
        UserError: a data set is not there, or is not in its format as a whole
    """
    named = [(name, True) for name in cfg.DATA.TRAIN] + [(name, False) for name in cfg.DATA.VAL]
    if not named:
        raise UserError("there is no data set to check; name one, such as DATA.TRAIN=train")
    splits, problems = [], []
    for name, is_train in named:
        split, found = _check_alone(cfg, name, is_train)
        splits.append(split)
        problems += found
    problems += check_categories(splits)
    if open_images:
        problems += check_images(splits)
    # a reader that a program registered may have its own names
    problems = [problem if problem.kind in KINDS else problem._replace(kind="unusable") for problem in problems]
    return Checked(splits, fit_anchors(splits, cfg), problems)


def _check_alone(cfg, name, is_train):
    """Returns: Split, and list of the problems that one data set has by itself"""
    with collecting_problems() as problems:
        (dataset,) = load_datasets(cfg, [name])
    split = make_split(dataset, is_train)
    problems += check_split(split, cfg.MODE_MASK)
    if os.path.splitext(dataset.annotation_file)[1].lower() == ".json":
        with contextlib.suppress(UserError):    # it is in another format than COCO's
            problems = with_annotation_ids(problems, dataset.annotation_file)
    return split, problems

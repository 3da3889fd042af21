"""Finds data sets by name: registered ones, and folders below DATA.BASEDIR in the format of COCO or of VOC."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from common import UserError

from data.coco import load_coco
from data.coco_files import has_coco
from data.flat_records import FlatRecords
from data.records import Dataset, Skeleton
from data.visual_genome import VISUAL_GENOME_NAMES, load_visual_genome
from data.voc import VOC_NAMES, is_voc_folder, load_voc, load_voc_folder

JOINED = {"trainval35k": ("train2014", "valminusminival2014")}    # COCO's names of several sets together

_LOADERS = {}


def register(name: str, loader: Callable[..., Dataset], options: Callable[..., dict] = lambda cfg: {}):
    """
    Make a data set known by a name, which DATA.TRAIN and DATA.VAL then take. A name registered again is replaced.

    Args:
        loader: from the folder, which is DATA.BASEDIR unless the name is given with another, and the name
        options: from the config to what the loader takes besides, by name
    """
    _LOADERS[name] = loader, options


def load_datasets(cfg, names: Sequence[str]) -> list[Dataset]:
    """
    Load data sets that share their categories.

    Args:
        cfg (AttrDict): DATA.BASEDIR is read, and what a registered name asks for
        names: registered names, or those of data sets in the format of COCO or of VOC, below DATA.BASEDIR;
            FOLDER/NAME is NAME in a folder of its own, absolute or below DATA.BASEDIR. One of JOINED stands for several

    Returns:
        in the order of names

    Raises:
        UserError: a data set is not there, cannot be used, or has other categories or keypoints than the first
    """
    basedir = os.path.expanduser(cfg.DATA.BASEDIR)
    names = [part for name in names for part in _parts(os.path.expanduser(name).rstrip(os.sep) or os.sep)]
    datasets = [_load(cfg, basedir, name) for name in names]
    for dataset, name, label in zip(datasets, names, _labels(basedir, names)):
        dataset.records = FlatRecords.of(dataset.records)
        _check_labels(dataset)
        _check_keypoints(dataset)
        if os.sep in name:
            dataset.name = label
    _check_same_categories(datasets)
    return datasets


def require_ground_truth(datasets: Sequence[Dataset]):
    """Raises: UserError: a data set is a test set, which nobody can be trained on or compared with"""
    for dataset in datasets:
        if not dataset.has_ground_truth:
            raise UserError(f"data set {dataset.name} has no ground truth, so a training cannot use it, also not as "
                            "DATA.VAL; predict.py --evaluate OUT.json with it writes results for COCO's server")


def fill_categories(cfg, datasets: list[Dataset], may_be_fewer: bool = False):
    """
    Set DATA.CLASS_NAMES and DATA.CATEGORY_IDS from data sets, and with MODE_KEYPOINT DATA.KEYPOINT_NAMES and its like.

    The ids are always those of the data sets, because results are written with them.

    Args:
        cfg (AttrDict): not frozen, or already filled with the same
        datasets: at least one
        may_be_fewer: the config may have more classes than the data sets, as of a model that is evaluated

    Raises:
        UserError: the data sets differ in their categories, or from DATA.CLASS_NAMES when that is set; and likewise in
            their keypoints, or nobody knows any
    """
    _check_same_categories(datasets)
    dataset = datasets[0]
    if cfg.MODE_KEYPOINT:
        _fill_keypoints(cfg, datasets)
    known = tuple(cfg.DATA.CLASS_NAMES)
    if may_be_fewer and len(known) > len(dataset.class_names) and set(dataset.class_names) <= set(known):
        return
    if known and known != dataset.class_names:
        raise UserError(f"DATA.CLASS_NAMES is {_shorten(known)}, but {dataset.annotation_file} has "
                        f"{_shorten(dataset.class_names)}; choose a data set with the classes of the model")
    if (known, tuple(cfg.DATA.CATEGORY_IDS)) != (dataset.class_names, dataset.category_ids):
        cfg.DATA.CLASS_NAMES = dataset.class_names
        cfg.DATA.CATEGORY_IDS = dataset.category_ids


def skeleton_of(cfg) -> Skeleton | None:
    """Returns: Skeleton of a config whose categories are filled; None without MODE_KEYPOINT"""
    if not cfg.MODE_KEYPOINT:
        return None
    # a config.json has lists
    return Skeleton(tuple(cfg.DATA.KEYPOINT_NAMES), tuple(map(tuple, cfg.DATA.KEYPOINT_EDGES)),
                    tuple(map(tuple, cfg.DATA.KEYPOINTS_OF_CLASS)))


def _fill_keypoints(cfg, datasets):
    dataset = next((dataset for dataset in datasets if dataset.skeleton), datasets[0])
    known = skeleton_of(cfg)
    if not known.names:
        cfg.DATA.KEYPOINT_NAMES, cfg.DATA.KEYPOINT_EDGES, cfg.DATA.KEYPOINTS_OF_CLASS = dataset.require_skeleton()
        return
    if not dataset.skeleton:
        return    # its boxes can still be evaluated
    wanted = _keypoints_of_classes(known, cfg.DATA.CLASS_NAMES or dataset.class_names)
    for class_name, names in _keypoints_of_classes(dataset.skeleton, dataset.class_names).items():
        if names != wanted.get(class_name, names):
            raise UserError(f"the model knows the keypoints {_shorten(wanted[class_name])} of {class_name}, but "
                            f"{dataset.annotation_file} has {_shorten(names)}; choose a data set with the keypoints of "
                            "the model")


def _keypoints_of_classes(skeleton, class_names):
    """Returns: dict from a class's name to a tuple of its keypoints' names"""
    return {class_name: tuple(skeleton.names[number] for number in skeleton.of_label(label))
            for label, class_name in enumerate(class_names, start=1)}


def _parts(name):
    """Returns: list of the data sets that a name stands for"""
    folder, base = os.path.split(name)
    return [os.path.join(folder, part) for part in JOINED.get(base.removeprefix("coco_"), [base])]


def _load(cfg, basedir, name):
    folder, base = os.path.split(os.path.join(basedir, name))
    if base in _LOADERS:
        loader, options = _LOADERS[base]
        return loader(folder, base, **options(cfg))
    if is_voc_folder(folder) and not has_coco(basedir, name):
        return load_voc_folder(folder, base)
    try:
        return load_coco(basedir, name, registered=sorted(_LOADERS))
    except UserError:
        _refuse_convertible(name, os.path.join(basedir, name))
        raise


def _refuse_convertible(name, folder):
    """Raises: UserError: a data set that was named by its folder is in a format that `data.convert` knows"""
    from data.convert import formats, source  # only imported when used
    if not os.path.isdir(folder):
        return
    guessed = formats.guess(source.Source(folder))
    if guessed not in (None, formats.COCO):
        raise UserError(f"data set {name}: it looks like {guessed}; convert it: python -m data.convert {guessed} "
                        f"{folder} TARGET") from None


def _labels(basedir, names):
    """
    Returns: list of what each data set's results are called: its name, or as many last parts of FOLDER/NAME as tell the
        data sets apart, two at least
    """
    paths = [os.path.abspath(os.path.join(basedir, name)).removesuffix(".json") for name in names]
    for num_parts in range(2, max([2, *(path.count(os.sep) for path in paths)]) + 1):
        labels = ["_".join(path.split(os.sep)[-num_parts:]) if os.sep in name else name
                  for name, path in zip(names, paths)]
        if len(set(zip(labels, paths))) == len(set(labels)):
            return labels
    raise UserError(f"data sets {', '.join(names)}: two cannot be told apart in the names of results; rename a folder")


def _check_labels(dataset):
    labels = dataset.records.objects.labels
    wrong = labels[(labels < 1) | (labels > len(dataset.class_names))]
    if len(wrong):
        raise UserError(f"data set {dataset.name}: an object has label {wrong[0]}, not one of "
                        f"1..{len(dataset.class_names)}; mend the program that makes the records")


def _check_keypoints(dataset):
    keypoints, count = dataset.records.objects.keypoints, len(dataset.skeleton.names) if dataset.skeleton else 0
    if keypoints is not None and keypoints.shape[1:] != (count, 3):
        raise UserError(f"data set {dataset.name}: its keypoints have shape {keypoints.shape}, but its skeleton has "
                        f"{count} names; mend the program that makes the records")


def _check_same_categories(datasets):
    for other in datasets[1:]:
        first = datasets[0]
        if (first.class_names, first.category_ids) != (other.class_names, other.category_ids):
            raise UserError(f"data sets {first.name} and {other.name} have different categories: "
                            f"{_describe(first)} and {_describe(other)}; use sets with the same ids and names together")
        if first.skeleton and other.skeleton and _has_other_keypoints(first, other):
            raise UserError(f"data sets {first.name} and {other.name} have different keypoints: "
                            f"{_shorten(first.skeleton.names)} and {_shorten(other.skeleton.names)}; use sets with the "
                            "same keypoints together")


def _has_other_keypoints(first, other):
    return (first.skeleton.names, first.skeleton.of_class) != (other.skeleton.names, other.skeleton.of_class)


def _describe(dataset):
    return _shorten([f"{i} {n}" for i, n in zip(dataset.category_ids, dataset.class_names)])


def _shorten(names, limit=10):
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return "(" + ", ".join(names[:limit]) + rest + ")"


def _load_shapes(basedir, name):
    from data import shapes  # only imported when used
    shapes.ensure_rendered(basedir)
    dataset = load_coco(basedir, name.removeprefix("shapes_"))
    dataset.name = name
    return dataset


register("shapes_train", _load_shapes)
register("shapes_val", _load_shapes)
for _name in VOC_NAMES:
    register(_name, load_voc)
for _name in VISUAL_GENOME_NAMES:
    register(_name, load_visual_genome, lambda cfg: {"vocabulary": cfg.DATA.VG_VOCABULARY,
                                                     "num_classes": cfg.DATA.VG_NUM_CLASSES})

"""Finds data sets by name: registered ones, and COCO-format folders below DATA.BASEDIR."""
import os

import common  # noqa: F401
from common import UserError
from data import coco

_LOADERS = {}


def register(name, loader):
    """
    Make a data set known by a name, which DATA.TRAIN and DATA.VAL then take. A name registered again is replaced.

    Args:
        name (str)
        loader (callable): `loader(basedir, name)` returns a `Dataset`; basedir is DATA.BASEDIR
    """
    _LOADERS[name] = loader


def load_datasets(cfg, names):
    """
    Load data sets that share their categories.

    Args:
        cfg (AttrDict): DATA.BASEDIR and MODE_MASK are read
        names (sequence of str): registered names, or COCO-format ones below DATA.BASEDIR

    Returns:
        list[Dataset], in the order of names. With MODE_MASK, objects without a segmentation are dropped.

    Raises:
        UserError: a data set is not there, cannot be used, or has other categories than the first
    """
    basedir = os.path.expanduser(cfg.DATA.BASEDIR)
    datasets = [_load(basedir, name) for name in names]
    _check_same_categories(datasets)
    if cfg.MODE_MASK:
        for dataset in datasets:
            coco.drop_objects_without_mask(dataset)
    return datasets


def fill_categories(cfg, datasets):
    """
    Set DATA.CLASS_NAMES and DATA.CATEGORY_IDS from data sets.

    The ids are always those of the data sets, because results are written with them.

    Args:
        cfg (AttrDict): not frozen, or already filled with the same
        datasets (list[Dataset]): at least one

    Raises:
        UserError: the data sets differ in their categories, or from DATA.CLASS_NAMES when that is set
    """
    _check_same_categories(datasets)
    dataset = datasets[0]
    known = tuple(cfg.DATA.CLASS_NAMES)
    if known and known != dataset.class_names:
        raise UserError(f"DATA.CLASS_NAMES is {_shorten(known)}, but {dataset.annotation_file} has "
                        f"{_shorten(dataset.class_names)}; choose a data set with the classes of the model")
    if (known, tuple(cfg.DATA.CATEGORY_IDS)) != (dataset.class_names, dataset.category_ids):
        cfg.DATA.CLASS_NAMES = dataset.class_names
        cfg.DATA.CATEGORY_IDS = dataset.category_ids


def _load(basedir, name):
    if name in _LOADERS:
        return _LOADERS[name](basedir, name)
    return coco.load_coco(basedir, name, registered=sorted(_LOADERS))


def _check_same_categories(datasets):
    for other in datasets[1:]:
        first = datasets[0]
        if (first.class_names, first.category_ids) != (other.class_names, other.category_ids):
            raise UserError(f"data sets {first.name} and {other.name} have different categories: "
                            f"{_describe(first)} and {_describe(other)}; use sets with the same ids and names together")


def _describe(dataset):
    return _shorten([f"{i} {n}" for i, n in zip(dataset.category_ids, dataset.class_names)])


def _shorten(names, limit=10):
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return "(" + ", ".join(names[:limit]) + rest + ")"


def _load_shapes(basedir, name):
    from data import shapes    # only imported when used
    shapes.ensure_rendered(basedir)
    dataset = coco.load_coco(basedir, name.removeprefix("shapes_"))
    dataset.name = name
    return dataset


register("shapes_train", _load_shapes)
register("shapes_val", _load_shapes)

"""A small clean data set in COCO's format, train and val, in which tests plant problems."""
import copy
import json

import coco_folder
from config import new_config
from data.check.checker import check

CATEGORIES = 7, 3, 90
CLEAN = {name: {"images": [], "annotations": [], "categories": coco_folder.make_content(0)["categories"]}
         for name in ("train", "val")}
for first, content in zip((1, 101), CLEAN.values()):
    for number, category in enumerate(CATEGORIES):
        image_id = first + number
        content["images"].append({"id": image_id, "file_name": f"{image_id}.jpg", "height": coco_folder.HEIGHT,
                                  "width": coco_folder.WIDTH})
        content["annotations"].append({**coco_folder.make_annotation(1000 + image_id, image_id),
                                       "category_id": category})


def clean_content():
    """Returns: dict of "train" and "val" to COCO's dict of 3 images, ids from 1 or 101 on, with one object each"""
    return copy.deepcopy(CLEAN)


def write(folder, contents=None):
    """Write the images of the clean data sets, and the annotations of `contents` in place of theirs."""
    for name, content in CLEAN.items():
        path = coco_folder.write(folder, content, name)
        path.write_text(json.dumps((contents or CLEAN)[name]), encoding="utf-8")


def make_config(folder, *words):
    """Returns: AttrDict, which names both data sets"""
    cfg = new_config()
    cfg.update_args([f"DATA.BASEDIR={folder}", "DATA.TRAIN=train", "DATA.VAL=val", *words])
    return cfg


def found(folder, *words, open_images=False):
    """Returns: list of Problem in the data sets of a folder; words are of the config"""
    return check(make_config(folder, *words), open_images).problems

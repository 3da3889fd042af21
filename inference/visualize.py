"""Images to visualize a network on, with their ground truth where it is known, and the picture of each on disk."""
import dataclasses
from typing import NamedTuple, Optional

from common import UserError, warn

import numpy as np

import data
from inference.files import (
    any_failure_of,
    expand_inputs,
    make_folder,
    name_outputs,
    refuse_overwriting,
    write_picture,
)
from inference.stream import progress_bar
from inference.video import is_video


class ToVisualize(NamedTuple):
    """
    An image.

    Attributes:
        path (str): of its file
        record (data.Record): its ground truth, with labels of the model's classes; None where it is not known
    """

    path: str
    record: Optional[data.Record] = None

    def load(self):
        return data.load_image(self.path, self.record.size if self.record else None)


def image_files(inputs):
    """
    Args:
        inputs (list[str]): as `expand_inputs` takes them

    Returns:
        list[ToVisualize]

    Raises:
        UserError: an input stands for no image
    """
    paths, problems = expand_inputs(inputs)
    images = [ToVisualize(path) for path in paths if not is_video(path)]
    if problems or not images:
        raise UserError(problems[0] if problems else "--visualize takes images, and these are videos")
    return images


def annotated_images(cfg, number):
    """
    The first images of DATA.VAL; fills the classes of the config.

    Args:
        cfg (AttrDict): not finalized
        number (int): of images, at most

    Returns:
        list[ToVisualize]

    Raises:
        UserError: DATA.VAL is empty, has no images, or has other classes than the model's
    """
    if not cfg.DATA.VAL:
        raise UserError("DATA.VAL is empty; name images behind --visualize DIR, or the data set, such as --config "
                        "DATA.VAL=val2017")
    datasets = data.load_datasets(cfg, cfg.DATA.VAL)
    data.fill_categories(cfg, datasets, may_be_fewer=True)
    images = []
    for dataset in datasets:
        labels = np.array([0, *(cfg.DATA.CLASS_NAMES.index(name) + 1 for name in dataset.class_names)], np.int32)
        records = (dataset.records[i] for i in range(min(len(dataset.records), number - len(images))))
        images += [ToVisualize(record.file_name, dataclasses.replace(record, labels=labels[record.labels])
                               if dataset.has_ground_truth else None) for record in records]
    if not images:
        raise UserError(f"DATA.VAL={','.join(cfg.DATA.VAL)} has no images; name a data set that has, or images")
    return images


def prepare_pictures(folder, images):
    """Make the folder of the pictures. Raises: UserError: it cannot be, or an image would be overwritten"""
    make_folder(folder)
    refuse_overwriting("--visualize", folder, _names(images))


def visualize_images(network, images, folder, draw):
    """
    Draw each image and write `folder`/STEM.png of it.

    Args:
        network (inference.stages.StageNetwork)
        images (list[ToVisualize])
        folder (str)
        draw (callable): from an image uint8 (h, w, 3), its Stages and `record` to a picture

    Returns:
        int, how many images cannot be used; each was named on a line of stderr, and the others are done
    """
    names, num_failed = _names(images), 0
    with progress_bar(len(images), "visualize") as bar:
        for image in images:
            try:
                with any_failure_of(image.path):
                    pixels = image.load()
                    write_picture(f"{folder}/{names[image.path]}", draw(pixels, network(pixels), record=image.record))
            except UserError as e:
                warn(str(e))
                num_failed += 1
            bar.update()
    return num_failed


def _names(images):
    """Returns: dict of each image's path to the name of its picture"""
    return {path: f"{stem}.png" for path, stem in name_outputs([image.path for image in images]).items()}

"""A batch of training images: what the dataflow yields, and what the network is fed with."""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """
    B images with their G ground-truth objects at most. The dataflow yields the fields in this order, as a list without
    those that are None; `read_batch` is the way back. `specs` has the same for machines.

    Attributes:
        images: uint8 (B, H, W, 3) BGR, padded with zeros at the right and the bottom. B is TRAIN.IMS_PER_GPU, and the
            images of a batch are of like shapes
        image_sizes: int32 (B, 2), true height and width
        image_ids: int64 (B,), as the annotation file has them
        seeds: int64 (B,), of the random choices that the network makes of each image
        gt_boxes: float32 (B, G, 4) x1, y1, x2, y2 in the pixels of `images`; G is at least 1, and zeros are padding
        gt_labels: int32 (B, G), 1..N for an object, -1 for a crowd region, 0 for padding
        gt_masks: uint8 (B, G, P), (M, M) box-frame masks (see `augment`) as bits (see `pack_masks`), zeros for crowds
            and padding; None where no masks are trained
        gt_keypoints: float32 (B, G, K, 3) x, y in the pixels of `images`, in continuous coordinates, and 0 for not
            labelled, 1 for hidden or 2 for visible; zeros for crowds and padding; None where no keypoints are trained
    """

    images: np.ndarray
    image_sizes: np.ndarray
    image_ids: np.ndarray
    seeds: np.ndarray
    gt_boxes: np.ndarray
    gt_labels: np.ndarray
    gt_masks: np.ndarray = None
    gt_keypoints: np.ndarray = None


class Spec(NamedTuple):
    """Name, NumPy dtype and shape of a field of a `Batch`; None stands for any size."""

    name: str
    dtype: type
    shape: tuple


def specs(mask_resolution=None, num_keypoints=None):
    """
    Args:
        mask_resolution (int): M of the masks, or None for batches without them
        num_keypoints (int): K of the keypoints, or None for batches without them

    Returns:
        list[Spec], of the fields of a `Batch` in their order, without those that its batches do not have
    """
    fields = Batch(
        images=(np.uint8, (None, None, None, 3)), image_sizes=(np.int32, (None, 2)), image_ids=(np.int64, (None,)),
        seeds=(np.int64, (None,)), gt_boxes=(np.float32, (None, None, 4)), gt_labels=(np.int32, (None, None)),
        gt_masks=None if mask_resolution is None else (np.uint8, (None, None, num_packed(mask_resolution))),
        gt_keypoints=None if num_keypoints is None else (np.float32, (None, None, num_keypoints, 3)))
    return [Spec(name, *field) for name, field in fields._asdict().items() if field is not None]


def trained_specs(cfg):
    """Returns: list[Spec], of the batches that a config trains on; see `specs`"""
    return specs(cfg.MRCNN.GT_RESOLUTION if cfg.MODE_MASK else None,
                 len(cfg.DATA.KEYPOINT_NAMES) if cfg.MODE_KEYPOINT else None)


def read_batch(datapoint, field_specs):
    """
    Args:
        datapoint (sequence): of arrays or tensors, as the dataflow yields them
        field_specs (list[Spec]): what `specs` says of them

    Returns:
        Batch
    """
    return Batch(**dict(zip([spec.name for spec in field_specs], datapoint)))


def num_packed(resolution):
    """Returns: int P, bytes of an (M, M) mask as bits"""
    return -(-resolution ** 2 // 8)


def pack_masks(masks):
    """
    Args:
        masks: uint8 (..., M, M) of 0 and 1

    Returns:
        uint8 (..., P), row by row a bit for each sample, the highest bit of a byte first; the last byte is filled with
        zeros
    """
    return np.packbits(masks.reshape(*masks.shape[:-2], masks.shape[-1] ** 2), axis=-1)


def unpack_masks(packed, resolution):
    """
    Args:
        packed: uint8 (..., P), see `pack_masks`
        resolution (int): M

    Returns:
        uint8 (..., M, M) of 0 and 1
    """
    bits = np.unpackbits(packed, axis=-1, count=resolution ** 2)
    return bits.reshape(*packed.shape[:-1], resolution, resolution)


@dataclass
class Sample:
    """
    One image of a batch, with its n objects.

    Attributes:
        image: uint8 (h, w, 3)
        image_id, seed (int)
        boxes: float32 (n, 4)
        labels: int32 (n,)
        masks: uint8 (n, P), packed; or None
        keypoints: float32 (n, K, 3) x, y, and 0 for none, 1 for hidden or 2 for visible, or None
    """

    image: np.ndarray
    image_id: int
    seed: int
    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    keypoints: np.ndarray = None


def collate(samples):
    """
    Args:
        samples (list[Sample]): all with masks, or all without; and likewise keypoints

    Returns:
        Batch
    """
    images, image_sizes = pad_batch([sample.image for sample in samples])
    num_boxes = max(1, *(len(sample.boxes) for sample in samples))

    def padded(name):
        arrays = [getattr(sample, name) for sample in samples]
        return None if arrays[0] is None else _pad(arrays, num_boxes)

    return Batch(
        images, image_sizes,
        image_ids=np.array([sample.image_id for sample in samples], dtype=np.int64),
        seeds=np.array([sample.seed for sample in samples], dtype=np.int64),
        gt_boxes=padded("boxes"), gt_labels=padded("labels"), gt_masks=padded("masks"),
        gt_keypoints=padded("keypoints"))


def pad_batch(images):
    """
    Stack images of different sizes, padded with zeros at the right and the bottom.

    Args:
        images (list): of uint8 (h, w, 3) arrays

    Returns:
        uint8 (B, H, W, 3), and int32 (B, 2): the true height and width of each image
    """
    sizes = np.array([image.shape[:2] for image in images], dtype=np.int32)
    batch = np.zeros((len(images), *sizes.max(axis=0), 3), dtype=np.uint8)
    for padded, image, (h, w) in zip(batch, images, sizes):
        padded[:h, :w] = image
    return batch, sizes


def _pad(arrays, length):
    """Stack arrays of shape (n, ...), each padded with zeros to (length, ...)."""
    batch = np.zeros((len(arrays), length, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for padded, array in zip(batch, arrays):
        padded[:len(array)] = array
    return batch

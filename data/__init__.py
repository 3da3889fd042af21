"""Data sets, their augmentation and the dataflow that feeds the training."""
import common  # noqa: F401  (prepares TensorFlow before tensorpack imports it)

from data.coco import COCO_CATEGORY_IDS, COCO_CLASS_NAMES, COCO_CLASSES
from data.coco_keypoints import COCO_KEYPOINT_EDGES, COCO_KEYPOINT_NAMES
from data.dataflow import get_train_dataflow
from data.images import load_image
from data.records import Dataset, Record, Skeleton
from data.registry import fill_categories, load_datasets, register, require_ground_truth, skeleton_of

__all__ = ["COCO_CATEGORY_IDS", "COCO_CLASSES", "COCO_CLASS_NAMES", "COCO_KEYPOINT_EDGES", "COCO_KEYPOINT_NAMES",
           "Dataset", "Record", "Skeleton", "fill_categories", "get_train_dataflow", "load_datasets", "load_image",
           "register", "require_ground_truth", "skeleton_of"]

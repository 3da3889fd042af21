"""What can be wrong with the images and objects of one data set, as they are annotated. Each rule yields `Problem`s."""
import numpy as np

from data.coco_rules import KEYPOINT_SHIFT
from data.flat_records import records_with_masks
from data.records import collecting_problems

BOX_TOLERANCE = 1.0     # pixels that a box may leave its image by, as rounding makes it do
MASK_TOLERANCE = 2.0    # pixels that a mask may leave its box by
MIN_FILLED = 0.25       # of a box, by what is around its mask
MIN_EDGE = 1.0          # pixels
FEW_OBJECTS = 3         # from which on boxes are judged together
KEYPOINT_REACH = 0.5    # of a box's longer edge, that a keypoint may leave it by
MAX_ODD_SHARE = 0.3     # of boxes that leave their image; beyond it they may be of another form
MAX_UNMASKED_SHARE = 0.1    # of objects without a mask that are named one by one


def check_split(split, needs_masks):
    """
    Args:
        split (Split)
        needs_masks (bool): whether an object without a mask is a problem

    Returns:
        list[Problem], in the order of RULES
    """
    problems = [problem for rule in RULES for problem in rule(split)]
    return problems + (_missing_masks(split) if needs_masks and split.is_train else [])


def _empty_sets(split):
    if not len(split.records):
        yield split.set_problem("no-images", "it has no image that can be used")
    elif not len(split.images) and split.dataset.has_ground_truth:
        yield split.set_problem("no-objects", f"none of its {len(split.records)} images has an object that can be used")


def _files_twice(split):
    first = {}
    for number in range(len(split.records)):
        other = first.setdefault(split.records.file_name(number), number)
        if other != number:
            yield split.image_problem("file-twice", number, f"image {split.records.image_ids[other]} has the same file")


def _boxes_that_leave(split):
    bboxes, limits = split.objects.bboxes, split.limits
    over = np.maximum(-bboxes[:, :2], split.corners[:, 2:] - limits).max(axis=1)
    for i in np.flatnonzero(over > BOX_TOLERANCE):
        yield split.problem("box-leaves-image", i, f"its box {_box(bboxes[i])} leaves the image, {limits[i, 0]} wide "
                            f"and {limits[i, 1]} high, by {over[i]:.4g} pixels")


def _other_boxes(split):
    """Boxes that, taken together, are of another form."""
    boxes, limits = split.objects.bboxes, split.limits
    if len(boxes) < FEW_OBJECTS:
        return
    if split.corners.max() <= 1:
        yield split.set_problem("boxes-relative", f"all {len(boxes)} boxes lie within 0..1; COCO's are in pixels")
    leaves = (split.corners[:, 2:] > limits + BOX_TOLERANCE).any(axis=1)
    fits = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (boxes[:, 2:] <= limits + BOX_TOLERANCE).all(axis=1)
    if fits.all() and leaves.mean() > MAX_ODD_SHARE:
        yield split.set_problem("boxes-corners", f"{leaves.sum()} of {len(boxes)} boxes leave their image as x, y, "
                                "width, height, and all are inside as x1, y1, x2, y2")


def _tiny_objects(split):
    bboxes = split.objects.bboxes
    for i in np.flatnonzero((bboxes[:, 2:] < MIN_EDGE).any(axis=1)):
        yield split.problem("object-tiny", i, f"its box {_box(bboxes[i])} is less than a pixel wide or high")


def _objects_twice(split):
    keys = [*split.objects.bboxes.T, split.objects.labels, split.objects.is_crowd, split.images]
    order = np.lexsort(keys)
    is_same = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
    for place in np.flatnonzero(is_same):
        first, second = order[place:place + 2]    # lexsort keeps the order of equals
        name = split.dataset.class_names[split.objects.labels[second] - 1]
        yield split.problem("object-twice", second, f"it has the class ({name}) and the box "
                            f"{_box(split.objects.bboxes[second])} of object {split.numbers[first]}")


def _implausible_areas(split):
    # the pixels of a thin mask reach beyond its box
    largest = (split.objects.bboxes[:, 2:] + MASK_TOLERANCE).prod(axis=1)
    for i in np.flatnonzero((split.objects.areas <= 0) | (split.objects.areas > largest)):
        yield split.problem("area-implausible", i, f"its area is {split.objects.areas[i]:.6g}, its box "
                            f"{split.objects.bboxes[i, 2]:.4g} x {split.objects.bboxes[i, 3]:.4g}")


def _masks(split):
    corners, extents = split.corners, split.extents
    sides = extents[:, 2:] - extents[:, :2]
    is_empty = split.is_mask_empty
    for i in np.flatnonzero(is_empty):
        yield split.problem("mask-empty", i, "its mask covers no pixel")
    over = np.concatenate([corners[:, :2] - extents[:, :2], extents[:, 2:] - corners[:, 2:]], axis=1).max(axis=1)
    leaves = over > MASK_TOLERANCE    # false for NaN
    for i in np.flatnonzero(leaves & ~is_empty):
        x1, y1, x2, y2 = extents[i]
        yield split.problem("mask-leaves-box", i, f"its mask spans {_box((x1, y1, x2 - x1, y2 - y1))} and leaves its "
                            f"box {_box(split.objects.bboxes[i])} by {over[i]:.4g} pixels")
    filled = sides.prod(axis=1) / split.objects.bboxes[:, 2:].prod(axis=1)
    for i in np.flatnonzero((filled < MIN_FILLED) & ~leaves & ~is_empty & ~split.objects.is_crowd):
        yield split.problem("mask-misses-box", i,
                            f"its mask spans {filled[i]:.0%} of its box {_box(split.objects.bboxes[i])}")


def _keypoints(split):
    if split.objects.keypoints is None:
        return
    x, y, visible = np.moveaxis(split.objects.keypoints, -1, 0)
    for i, k in _first_of_each(~np.isin(visible, (0, 1, 2))):
        yield split.problem("keypoints", i, f"its keypoint {k + 1} has the visibility {visible[i, k]:g}")
    for i, k in _first_of_each((visible > 0) & ~_are_in_image(split)):
        yield split.problem("keypoint-outside", i, f"its keypoint {k + 1} is at {x[i, k]:g}, {y[i, k]:g}")
    for i, k in _first_of_each((visible > 0) & (np.minimum(x, y) >= 0) & (np.maximum(x, y) <= KEYPOINT_SHIFT)):
        yield split.problem("keypoint-origin", i, f"its keypoint {k + 1} is at 0, 0")


def _are_in_image(split):
    """Returns: bool (N, K), of all keypoints"""
    points, limits = split.objects.keypoints[..., :2], split.limits[:, None]
    return ((points >= -BOX_TOLERANCE) & (points <= limits + BOX_TOLERANCE)).all(axis=-1)


def _keypoints_far_from_their_box(split):
    if split.objects.keypoints is None:
        return
    points, corners = split.objects.keypoints[..., :2], split.corners[:, None]
    over = np.maximum(corners[..., :2] - points, points - corners[..., 2:]).max(axis=-1)
    reach = MASK_TOLERANCE + KEYPOINT_REACH * split.objects.bboxes[:, 2:].max(axis=1)
    is_labelled = split.objects.keypoints[..., 2] > 0
    for i, k in _first_of_each(is_labelled & _are_in_image(split) & (over > reach[:, None])):
        yield split.problem("keypoint-leaves-box", i, f"its keypoint {k + 1} leaves its box "
                            f"{_box(split.objects.bboxes[i])} by {over[i, k]:.4g} pixels")


def _unlabelled_keypoints(split):
    """Classes that have keypoints, none of which an object has labelled."""
    objects, skeleton = split.objects, split.dataset.skeleton
    if objects.keypoints is None or skeleton is None:
        return
    labelled = set(objects.labels[objects.has_keypoints].tolist())
    for label, (name, count) in enumerate(zip(split.dataset.class_names, split.class_counts.tolist()), start=1):
        num_keypoints = len(skeleton.of_label(label))
        if count and num_keypoints and label not in labelled:
            yield split.set_problem("class-no-keypoints", f"class {name!r} lists {num_keypoints} keypoints, and none "
                                    f"of its {count} objects has one labelled")


def _first_of_each(is_wrong):
    """Returns: pairs of a row with a True, and its first column with one, of bool (n, K)"""
    rows = np.flatnonzero(is_wrong.any(axis=1))
    return zip(rows.tolist(), is_wrong[rows].argmax(axis=1).tolist())


def _missing_masks(split):
    with collecting_problems() as problems:
        records_with_masks(split.dataset)
    if len(problems) <= MAX_UNMASKED_SHARE * len(split.images):
        return problems
    return [split.set_problem("no-mask", f"{len(problems)} of {len(split.images)} objects have no mask")]


def _box(bbox):
    return "[" + ", ".join(f"{float(value):.6g}" for value in bbox) + "]"


RULES = (_empty_sets, _files_twice, _other_boxes, _boxes_that_leave, _tiny_objects, _objects_twice, _implausible_areas,
         _masks, _keypoints, _keypoints_far_from_their_box, _unlabelled_keypoints)

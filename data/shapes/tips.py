"""The tips of shapes, which are their keypoints."""
import numpy as np

DEPTH = 1.5    # pixels from a tip into the shape, where it is wide enough to be seen and inside of its box
# clockwise from the topmost, so that a mirror swaps left and right
NAMES = {
    "square": ("top", "right", "bottom", "left"), "triangle": ("top", "right", "left"),
    "star": ("top", "upper_right", "lower_right", "lower_left", "upper_left"),
    "cross": ("top", "right", "bottom", "left")}


def skeleton(class_name):
    """Returns: dict, as COCO's categories have it: names, and the lines around the shape; empty without tips"""
    names = NAMES.get(class_name, ())
    outline = [[i + 1, (i + 1) % len(names) + 1] for i in range(len(names))]
    if class_name == "triangle":
        outline.remove([2, 3])    # lines are those of all classes together, and this one would cut squares in two
    return {"keypoints": list(names), "skeleton": outline} if names else {}


def find_tips(class_name, contour):
    """
    Args:
        contour: float (k, 2), clockwise, as `drawing` makes it

    Returns:
        float64 (t, 2), corners, points or the middles of a cross's ends, in the order of NAMES and DEPTH inside
    """
    if class_name not in NAMES:
        return np.zeros((0, 2))
    if class_name == "square":
        tips = contour
    elif class_name == "cross":
        tips = (contour[::3] + contour[1::3]) / 2
    else:
        tips = contour[::2]    # of a star
    tips = np.roll(tips, -tips[:, 1].argmin(), axis=0)
    inward = contour.mean(axis=0) - tips
    return tips + DEPTH * inward / np.linalg.norm(inward, axis=1, keepdims=True)


def to_keypoints(tips, above):
    """
    Args:
        tips: float (t, 2), in continuous coordinates of the image
        above: bool (h, w), the pixels of the image that other objects cover

    Returns:
        dict of an annotation's "keypoints", COCO's numbers, which are half less than continuous coordinates, and
        "num_keypoints": 2 where one sees the pixel of a tip, 1 where it is covered, zeros outside of the image
    """
    keypoints = [_to_keypoint(tip, above) for tip in tips]
    return {"keypoints": [value for keypoint in keypoints for value in keypoint],
            "num_keypoints": sum(keypoint[2] > 0 for keypoint in keypoints)}


def _to_keypoint(tip, above):
    x, y = np.floor(tip).astype(int)
    if not (0 <= x < above.shape[1] and 0 <= y < above.shape[0]):
        return [0, 0, 0]
    return [*np.round(tip - 0.5, 2).tolist(), 1 if above[y, x] else 2]

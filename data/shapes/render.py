"""
The `shapes` data set: images of overlapping shapes that the project draws itself, in COCO's format.

Each image is a function of (seed, split, index) alone, so the files are the same on any number of processes. Objects
are painted one after the other; their masks, boxes and areas are those of the pixels that stay visible.
"""
import functools
import json
import os
import shutil
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass

from common import UserError

import cv2
import numpy as np
import pycocotools.mask as mask_utils
import tqdm
from tensorpack.utils import logger

from data.workers import num_cores, prepare_worker

VERSION = 1              # raise it when the same seed gives other files; existing data sets are then drawn again
MARKER = "shapes.json"   # in the folder of a complete data set
CONTENT = {MARKER, "annotations", "train", "val"}
NUM_TRAIN, NUM_VAL, SEED = 2000, 200, 0

CLASS_NAMES = ("circle", "square", "triangle", "star", "cross", "ring")
HEIGHT, WIDTH = 192, 256
SUBSAMPLES = 4           # per pixel and axis, for anti-aliasing
SIZE_RANGE = 12, 96      # longer edge of a whole shape, pixels
OBJECTS_RANGE = 2, 12    # in an image that has any
MIN_VISIBLE = 0.7        # share of an object's pixels that others and the image's border leave visible
EMPTY_SHARE = 0.04       # of the images
CROWD_SHARE = 0.05       # of the images that have objects
CROWD_OBJECTS_RANGE = 8, 15
CROWD_SIZE_RANGE = 7, 13
MAX_TRIES = 60           # to place the objects of an image
MIN_CONTRAST = 100       # distance of colours, of 442 between black and white
JPEG_QUALITY = 90


# a data set on disk -----------------------------------------------------------------------------------------------
def ensure_rendered(out):
    """
    Render the data set into `out`, unless one of this version is there, of any size and seed.

    Raises:
        UserError: the folder holds other files, or cannot be written
    """
    if (_read_marker(out) or {}).get("version") != VERSION:
        render_dataset(out, NUM_TRAIN, NUM_VAL, SEED)


def render_dataset(out, num_train, num_val, seed, num_procs=None):
    """
    Render the data set into `out`: annotations/instances_{train,val}.json, train/*.jpg and val/*.jpg.

    It appears there complete or not at all. Nothing is done when it is there already; one of another version, size or
    seed is replaced.

    Args:
        out (str): folder, which is made
        num_train, num_val (int): images
        seed (int): at least 0
        num_procs (int): None for one on each core

    Raises:
        UserError: the folder holds other files, or cannot be written
    """
    marker = {"version": VERSION, "train": num_train, "val": num_val, "seed": seed}
    out = os.path.abspath(out)
    if _read_marker(out) == marker:
        return
    _check_replaceable(out)
    logger.info(f"Rendering the shapes data set ({num_train} + {num_val} images) into {out}")
    temporary = f"{out}.{os.getpid()}.tmp"
    try:
        _render_into(temporary, marker, num_procs or num_cores())
        _move(temporary, out)
    except OSError as e:
        raise UserError(f"{out}: cannot write the shapes data set ({e.strerror}); set DATA.BASEDIR to a folder with "
                        "room that can be written") from None
    except BrokenExecutor:
        raise UserError(f"{out}: a process that renders the shapes data set was killed; free some memory and start "
                        "again") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_marker(out):
    try:
        with open(os.path.join(out, MARKER), encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def _check_replaceable(out):
    """Only an empty folder, or a data set of ours and nothing else, may be replaced."""
    if not os.path.lexists(out):
        return
    if not os.path.isdir(out) or not (set(os.listdir(out)) <= CONTENT and (_read_marker(out) or not os.listdir(out))):
        raise UserError(f"{out} holds other files, the shapes data set needs a folder of its own; "
                        "set DATA.BASEDIR=datasets/shapes")


def _move(temporary, out):
    if os.path.isdir(out) and os.listdir(out):
        old = f"{temporary}.old"
        os.rename(out, old)
        os.rename(temporary, out)
        shutil.rmtree(old)
    else:
        os.rename(temporary, out)    # also onto an empty folder


def _render_into(folder, marker, num_procs):
    os.makedirs(os.path.join(folder, "annotations"))
    tasks = []
    for split in ("train", "val"):
        os.makedirs(os.path.join(folder, split))
        tasks += [(split, index) for index in range(marker[split])]
    render = functools.partial(_render_file, folder, marker["seed"])
    with ProcessPoolExecutor(num_procs, initializer=prepare_worker) as pool:
        try:
            results = pool.map(render, tasks, chunksize=8)
            # disable=None: no bar where the output is no terminal
            objects = dict(zip(tasks, tqdm.tqdm(results, "shapes", len(tasks), unit="image", disable=None)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for split in ("train", "val"):
        content = _coco_content(split, [objects[split, index] for index in range(marker[split])], marker)
        with open(os.path.join(folder, "annotations", f"instances_{split}.json"), "w", encoding="utf-8") as f:
            json.dump(content, f, separators=(",", ":"))
    with open(os.path.join(folder, MARKER), "w", encoding="utf-8") as f:
        json.dump(marker, f)


def _render_file(folder, seed, task):
    """Returns: the annotations of one image, of which it writes the file"""
    split, index = task
    jpeg, annotations = render_image(seed, split, index)
    with open(os.path.join(folder, split, _file_name(index)), "wb") as f:
        f.write(jpeg)
    return annotations


def _file_name(index):
    return f"{index + 1:06d}.jpg"


def _coco_content(split, objects, marker):
    """
    Args:
        objects (list): for each image its annotations, which get ids here
    """
    images = [{"id": i + 1, "file_name": _file_name(i), "height": HEIGHT, "width": WIDTH} for i in range(len(objects))]
    annotations = [{"image_id": i + 1, **annotation} for i, of_image in enumerate(objects) for annotation in of_image]
    return {
        "info": {"description": f"shapes, {split}", **marker},
        "images": images,
        "annotations": [{"id": i + 1, **annotation} for i, annotation in enumerate(annotations)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(CLASS_NAMES)],
    }


# one image --------------------------------------------------------------------------------------------------------
@dataclass
class _Object:
    """A painted object: its class 0..5, how many pixels it has when whole, and bool (H, W), which of them one sees."""

    class_index: int
    is_crowd: bool
    num_pixels: int
    visible: np.ndarray


def render_image(seed, split, index):
    """
    Draw one image.

    Args:
        seed (int)
        split (str): "train" or "val"
        index (int)

    Returns:
        bytes: a JPEG file of HEIGHT x WIDTH pixels
        list[dict]: COCO annotations without "id" and "image_id"
    """
    canvas, objects = draw_scene(seed, split, index)
    jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return jpeg, [_annotation(obj) for obj in objects]


def draw_scene(seed, split, index):
    """Returns: uint8 (H, W, 3) BGR, and a list of `_Object`"""
    rng = np.random.default_rng([seed, ("train", "val").index(split), index])
    canvas = _background(rng)
    objects = []
    if rng.random() >= EMPTY_SHARE:
        if rng.random() < CROWD_SHARE:
            _paint_crowd(rng, canvas, objects)
        num_objects = len(objects) + rng.integers(*OBJECTS_RANGE, endpoint=True)
        for _ in range(MAX_TRIES):
            _paint_object(rng, canvas, objects)
            if len(objects) == num_objects:
                break
    return _photograph(rng, canvas), objects


def _paint_object(rng, canvas, objects):
    """Paint one shape at random, unless it would hide too much; append it to objects."""
    class_index = int(rng.integers(len(CLASS_NAMES)))
    size = rng.uniform(*np.sqrt(SIZE_RANGE)) ** 2
    shape = _draw_shape(rng, class_index, size, rng.uniform((0, 0), (WIDTH, HEIGHT)))
    if _place(objects, class_index, shape.mask(), shape.num_pixels):
        _paint(rng, canvas, shape, has_rim=size > 24 and rng.random() < 0.3)


def _paint_crowd(rng, canvas, objects):
    """Paint a cluster of tiny shapes of one class, annotated as one crowd region."""
    class_index = int(rng.integers(len(CLASS_NAMES)))
    spread = rng.uniform(14, 24)
    centre = rng.uniform((3 * spread, 3 * spread), (WIDTH - 3 * spread, HEIGHT - 3 * spread))
    union = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for _ in range(rng.integers(*CROWD_OBJECTS_RANGE, endpoint=True)):
        offset = np.clip(rng.normal(0, spread, 2), -2.5 * spread, 2.5 * spread)
        shape = _draw_shape(rng, class_index, rng.uniform(*CROWD_SIZE_RANGE), centre + offset)
        _paint(rng, canvas, shape, has_rim=False)
        union |= shape.mask()
    _place(objects, class_index, union, int(union.sum()), is_crowd=True)


def _place(objects, class_index, mask, num_pixels, is_crowd=False):
    """Append an object that covers all before it, unless too little of one would be left. Returns: bool, appended"""
    left = [obj.visible & ~mask for obj in objects]
    if mask.sum() < MIN_VISIBLE * num_pixels:
        return False
    if any(rest.sum() < MIN_VISIBLE * obj.num_pixels for rest, obj in zip(left, objects)):
        return False
    for obj, rest in zip(objects, left):
        obj.visible = rest
    objects.append(_Object(class_index, is_crowd, num_pixels, mask))
    return True


def _annotation(obj):
    ys, xs = np.flatnonzero(obj.visible.any(axis=1)), np.flatnonzero(obj.visible.any(axis=0))
    x, y, w, h = (int(v) for v in (xs[0], ys[0], xs[-1] + 1 - xs[0], ys[-1] + 1 - ys[0]))
    segmentation = _crowd_rle(obj.visible) if obj.is_crowd else _polygons_or_rle(obj.visible)
    return {"category_id": obj.class_index + 1, "bbox": [x, y, w, h], "area": int(obj.visible.sum()),
            "iscrowd": int(obj.is_crowd), "segmentation": segmentation}


# segmentations ----------------------------------------------------------------------------------------------------
def _crowd_rle(mask):
    """Uncompressed runs in column order, the first of zeros, as COCO writes its crowds."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": [HEIGHT, WIDTH], "counts": np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()}


def _polygons_or_rle(mask):
    """One polygon along the edges of the pixels when it gives the mask exactly, else compressed RLE."""
    encoded = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
    polygon = _outline_polygon(mask)
    if polygon and mask_utils.merge(mask_utils.frPyObjects([polygon], HEIGHT, WIDTH))["counts"] == encoded["counts"]:
        return [polygon]
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode("ascii")}


def _outline_polygon(mask):
    """Returns: list of int x, y, x, y, ... along the edges of the pixels; None when there is more than one outline"""
    # in an image three times as large, the outermost pixels of each pixel tell on which side of it the outline runs
    large = cv2.resize(mask.astype(np.uint8), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) != 1:
        return None
    points = (contours[0].reshape(-1, 2) + 1) // 3
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    return points.ravel().tolist() if len(points) >= 3 else None


# shapes -----------------------------------------------------------------------------------------------------------
@dataclass
class _Shape:
    """
    A whole shape and where it lies.

    Attributes:
        rows, columns (slice): its window in the image
        alpha: float32 (h, w) of that window, which share of each pixel it covers
        inner: float32 (h, w), the same without its rim
        num_pixels (int): how many pixels it covers by half or more, also outside of the image
    """

    rows: slice
    columns: slice
    alpha: np.ndarray
    inner: np.ndarray
    num_pixels: int

    def mask(self):
        """Returns: bool (H, W)"""
        mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
        mask[self.rows, self.columns] = self.alpha >= 0.5
        return mask


def _draw_shape(rng, class_index, size, centre):
    """
    Args:
        size (float): longer edge of the shape's bounding box, pixels
        centre: (x, y) of that box, pixels, inside the image

    Returns:
        _Shape
    """
    contours = _fit(_contours(rng, CLASS_NAMES[class_index]), rng.uniform(0, 2 * np.pi), size)
    corner = np.floor(centre - size / 2).astype(int) - 1
    edge = int(size) + 4
    large = np.zeros((edge * SUBSAMPLES, edge * SUBSAMPLES), dtype=np.uint8)
    # OpenCV puts whole numbers at the centres of pixels, and takes 4 fractional bits
    points = [np.round(((c + centre - corner) * SUBSAMPLES - 0.5) * 16).astype(np.int32) for c in contours]
    cv2.fillPoly(large, points, 255, shift=4)
    rim = 2 * int(max(size * rng.uniform(0.03, 0.06), 1.2) * SUBSAMPLES) + 1
    inner = cv2.erode(large, np.ones((rim, rim), dtype=np.uint8))
    alpha, inner = (cv2.resize(c, (edge, edge), interpolation=cv2.INTER_AREA) / np.float32(255) for c in (large, inner))
    (x1, y1), (x2, y2) = np.maximum(corner, 0), np.minimum(corner + edge, (WIDTH, HEIGHT))
    window = slice(y1 - corner[1], y2 - corner[1]), slice(x1 - corner[0], x2 - corner[0])
    return _Shape(slice(y1, y2), slice(x1, x2), alpha[window], inner[window], int((alpha >= 0.5).sum()))


def _contours(rng, name):
    """Returns: list of (k, 2) contours of a shape of any size; the second one is a hole"""
    if name == "circle":
        return [_ellipse(rng.uniform(1, 1.3))]
    if name == "ring":
        outer = _ellipse(rng.uniform(1, 1.3))
        return [outer, outer * rng.uniform(0.45, 0.62)]
    if name == "square":
        return [np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (rng.uniform(1, 1.15), 1)]
    if name == "triangle":
        return [_star(3, 0.5) * (rng.uniform(0.85, 1.2), 1)]
    if name == "star":
        return [_star(5, rng.uniform(0.4, 0.48)) * (rng.uniform(0.9, 1.1), 1)]
    arm = rng.uniform(0.25, 0.38)
    quarter = np.array([(1, -arm), (1, arm), (arm, arm)])
    turns = [quarter @ np.array([(c, s), (-s, c)]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    return [np.concatenate(turns) * (rng.uniform(0.9, 1.1), 1)]


def _ellipse(aspect):
    angles = np.arange(72) * (2 * np.pi / 72)
    return np.stack([np.cos(angles) * aspect, np.sin(angles)], axis=1)


def _star(num_points, inner_radius):
    """A star of radius 1; with 3 points and an inner radius of 0.5, a triangle"""
    angles = np.arange(2 * num_points) * (np.pi / num_points)
    radii = np.where(np.arange(2 * num_points) % 2 == 0, 1, inner_radius)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


def _fit(contours, angle, size):
    """Turn contours by an angle and scale them so that the longer edge of their box is `size`, centred at (0, 0)."""
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    turned = [contour @ turn for contour in contours]
    low, high = turned[0].min(axis=0), turned[0].max(axis=0)
    return [(contour - (low + high) / 2) * (size / (high - low).max()) for contour in turned]


# colours ----------------------------------------------------------------------------------------------------------
def _background(rng):
    """Returns: float32 (H, W, 3) in 0..255"""
    base = rng.uniform(20, 235, 3)
    return _blend(base, _near(rng, base, 40, 130), _pattern(rng, HEIGHT, WIDTH, 12, 80))


def _paint(rng, canvas, shape, has_rim):
    """Paint a shape on the canvas, in colours that stand out from what is under it."""
    before = canvas[shape.rows, shape.columns]
    base, other = _contrasting_colours(rng, before.reshape(-1, 3))
    fill = _blend(base, other, _pattern(rng, *shape.alpha.shape, 5, 24))
    if has_rim:
        rim = _near(rng, (base + other) / 2, 80, 200)
        fill = _blend(rim, fill, shape.inner)
    canvas[shape.rows, shape.columns] = _blend(before, fill, shape.alpha)


def _contrasting_colours(rng, before):
    """Returns: two colours for a fill, often the same, at a distance from the (n, 3) pixels before"""
    mean = before.mean(axis=0)
    best_contrast = -1
    for _ in range(20):
        base = rng.uniform(0, 255, 3)
        other = base if rng.random() < 0.4 else _near(rng, base, 30, 90)
        colour = (base + other) / 2
        # far from the mean, which could lie between two stripes, and far from the pixels one by one
        contrast = min(np.linalg.norm(mean - colour), 0.8 * np.linalg.norm(before - colour, axis=1).mean())
        if contrast > best_contrast:
            best, best_contrast = (base, other), contrast
        if contrast >= MIN_CONTRAST:
            break
    return best


def _near(rng, colour, low, high):
    """Returns: a colour at a distance between low and high, or less at the ends of the range of colours"""
    direction = rng.normal(size=3)
    return np.clip(colour + direction / np.linalg.norm(direction) * rng.uniform(low, high), 0, 255)


def _blend(first, second, share):
    """first where the (h, w) share is 0, second where it is 1. Returns: float32 (h, w, 3)"""
    return (first + (second - first) * share[..., None]).astype(np.float32)


def _pattern(rng, height, width, shortest, longest):
    """
    A gradient, stripes, a checkerboard or noise.

    Args:
        shortest, longest (float): range of the pattern's period, pixels

    Returns:
        float32 (height, width) in 0..1
    """
    kind = rng.integers(4)
    period = rng.uniform(shortest, longest)
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    if kind == 0:
        return _value_noise(rng, height, width, period)
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    u = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    if kind == 1:
        return (u - u.min()) / max(u.max() - u.min(), 1)
    wave = np.sin(u * np.float32(2 * np.pi / period) + np.float32(phase))
    if kind == 2:
        v = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
        wave *= np.sin(v * np.float32(2 * np.pi / period))
    return np.clip(0.5 + wave * np.float32(rng.uniform(0.5, 4)), 0, 1)


def _value_noise(rng, height, width, period):
    """Three octaves of random values on a grid, interpolated. Returns: float32 (height, width) in 0..1"""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(3):
        shape = [int(np.ceil(s * 2**octave / period)) + 1 for s in (height, width)]
        grid = rng.random(shape, dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = total.min(), total.max()
    return (total - low) / max(high - low, np.float32(1e-6))


def _photograph(rng, canvas):
    """Slight blur and sensor noise. Returns: uint8 (H, W, 3)"""
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.8))
    noise = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(1, 6))
    return np.clip(canvas + noise + 0.5, 0, 255).astype(np.uint8)

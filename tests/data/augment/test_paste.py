import copy

import cv2
import numpy as np
import pytest

from data.augment import CROWD_LABEL, Scene, View, choose_objects, paste, see_objects
from data.augment.paste import FEATHER_SIGMA
from slow_masks import HEIGHT, WIDTH, cell_centres, random_record, seen_mask

M = 28
PARTNERS = np.array([0, 2, 1])
FIRST_PASTED = 100    # label
PLAIN = View((0, 0, WIDTH, HEIGHT), (HEIGHT, WIDTH))


def see(record, view, image, resolution=M):
    return Scene(view.see_image(image), see_objects(record, view, resolution, PARTNERS), record, view)


def random_scenes(rng, resolution=M):
    """Returns: a scene, another to paste, and the corner where it lies"""
    size = tuple(rng.integers(50, 100, 2).tolist())
    small = tuple(rng.integers(30, [size[0], size[1]], endpoint=True).tolist())
    x1, y1 = rng.integers(0, 20, 2).tolist()
    images = rng.integers(0, 256, (2, HEIGHT, WIDTH, 3)).astype(np.uint8)
    mirrors = (rng.random((2, 2)) < 0.5).tolist()
    scene = see(random_record(rng), View((x1, y1, WIDTH, HEIGHT), size, *mirrors[0]), images[0], resolution)
    source = see(random_record(rng, 4, FIRST_PASTED), View((0, y1, WIDTH - x1, HEIGHT), small, *mirrors[1]), images[1],
                 resolution)
    corner = rng.integers(0, [size[1] - small[1], size[0] - small[0]], endpoint=True).tolist()
    return scene, choose_objects(rng, source), tuple(corner)


def full_masks(scene, size, corner=(0, 0)):
    """Returns: bool (n, h, w), each object's pixels in an image of `size`, and bool (h, w), whether all are sure"""
    height, width = scene.view.size
    masks, all_sure = np.zeros((len(scene.objects.labels), *size), dtype=bool), np.ones(size, dtype=bool)
    x, y = corner
    for mask, number in zip(masks, scene.objects.numbers):
        part = np.s_[y:y + height, x:x + width]
        mask[part], is_sure = seen_mask(scene.record, scene.view, number,
                                        *cell_centres((0, 0, width, height), height, width), 0.3)
        all_sure[part] &= is_sure
    return masks, all_sure


def stack(scene, source, corner):
    """Full-size masks, stacked plainly: bool (n, h, w) before and after, and bool (h, w), where all are sure."""
    below, is_sure = full_masks(scene, scene.view.size)
    above, is_sure_above = full_masks(source, scene.view.size, corner)
    left = [mask & ~above.any(axis=0) for mask in below]
    left += [mask & ~above[i + 1:].any(axis=0) for i, mask in enumerate(above)]
    return np.concatenate([below, above]), np.array(left).reshape(-1, *scene.view.size), is_sure & is_sure_above


@pytest.fixture(scope="module")
def cases():
    """Of random scenes: both, the corner, the objects behind pasting, and the stacked masks of all objects before."""
    found = []
    for seed in range(100):
        scene, source, corner = random_scenes(np.random.default_rng(seed))
        found.append((scene, source, corner, paste(scene, source, corner)[1], stack(scene, source, corner)))
    return found


def labels_before(scene, source):
    return scene.objects.labels.tolist() + source.objects.labels.tolist()


def test_masks_of_covered_objects_are_the_stacked_pixels(cases):
    """Each cell of the mask is compared with the pixel that its centre is in, but for pixels on a polygon's outline."""
    num_changed = 0
    for scene, source, _, objects, (before, after, is_sure) in cases:
        for label, box, mask in zip(objects.labels, objects.boxes, objects.masks):
            i = labels_before(scene, source).index(label)
            if label == CROWD_LABEL or (before[i] == after[i])[is_sure].all():
                continue
            columns, rows = (np.floor(v).astype(int) for v in cell_centres(box, M, M))
            sure_cells = is_sure[rows, columns]
            np.testing.assert_array_equal(mask[sure_cells] > 0, after[i][rows, columns][sure_cells])
            num_changed += 1
    assert num_changed > 100


def is_near_others(i, masks, num_below):
    """Whether a mask, with a border of a pixel, where polygons round, meets one that is pasted over it."""
    grown = cv2.dilate(masks[i].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return (grown & masks[max(num_below, i + 1):]).any()


def test_what_is_not_covered_stays_as_it_was(cases):
    num_same = 0
    for scene, source, corner, objects, (before, _, _) in cases:
        x, y = corner
        boxes = np.concatenate([scene.objects.boxes, source.objects.boxes + np.float32([x, y, x, y])])
        masks = np.concatenate([scene.objects.masks, source.objects.masks])
        for i, label in enumerate(labels_before(scene, source)):
            if label == CROWD_LABEL or before[i].any() and not is_near_others(i, before, len(scene.objects.labels)):
                j = objects.labels.tolist().index(label)
                np.testing.assert_array_equal(objects.boxes[j], boxes[i])
                np.testing.assert_array_equal(objects.masks[j], masks[i])
                num_same += 1
    assert num_same > 100


def test_boxes_are_the_bounds_of_what_is_visible(cases):
    for scene, source, _, objects, (before, after, is_sure) in cases:
        for label, box in zip(objects.labels, objects.boxes):
            i = labels_before(scene, source).index(label)
            if label == CROWD_LABEL or not is_sure[before[i]].all() or (before[i] == after[i]).all():
                continue
            rows, columns = np.flatnonzero(after[i].any(axis=1)), np.flatnonzero(after[i].any(axis=0))
            bounds = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            # no further than the object's box before, which may end within a pixel
            assert (np.abs(box - bounds) < 1).all() and ((box - bounds) * [1, 1, -1, -1] >= -1e-4).all()


def test_no_object_is_without_a_pixel(cases):
    for _, _, _, objects, _ in cases:
        is_object = objects.labels != CROWD_LABEL
        assert objects.masks[is_object].any((1, 2)).all()
        assert (objects.boxes[:, :2] < objects.boxes[:, 2:]).all()


def test_the_image_is_blended_along_the_edge_alone():
    for seed in range(30):
        scene, source, corner = random_scenes(np.random.default_rng(seed))
        image, _ = paste(scene, source, corner)
        masks, is_sure = full_masks(source, scene.view.size, corner)
        union, (x, y), (height, width) = masks.any(axis=0), corner, source.view.size
        around = cv2.dilate(union.astype(np.uint8), np.ones((11, 11))) > 0
        np.testing.assert_array_equal(image[~around], scene.image[~around])
        if not is_sure[around].all():
            continue
        part = np.s_[y:y + height, x:x + width]
        alpha = cv2.GaussianBlur(union[part].astype(np.float32), (0, 0), FEATHER_SIGMA,
                                 borderType=cv2.BORDER_REPLICATE)[..., None]
        expected = scene.image[part] * (1 - alpha) + source.image * alpha
        assert np.abs(image[part] - expected).max() <= 0.51


def test_the_scenes_stay_as_they_were():
    scene, source, corner = random_scenes(np.random.default_rng(4))
    arrays = [array for s in (scene, source)
              for array in (s.image, s.objects.boxes, s.objects.masks, s.objects.keypoints)]
    before = copy.deepcopy(arrays)
    image, objects = paste(scene, source, corner)
    assert (image != scene.image).any() and len(objects.labels) > len(source.objects.labels)
    for array, expected in zip(arrays, before):
        np.testing.assert_array_equal(array, expected)


def test_boxes_are_the_same_without_masks():
    for seed in range(30):
        with_masks, without = (paste(*random_scenes(np.random.default_rng(seed), resolution))[1]
                               for resolution in (M, None))
        assert without.masks is None and set(with_masks.labels) <= set(without.labels)
        common = np.isin(without.labels, with_masks.labels)
        if len(set(without.labels)) == len(without.labels):
            np.testing.assert_array_equal(without.boxes[common], with_masks.boxes)


# small scenes by hand ---------------------------------------------------------------------------------------------
def square_scene(*squares, label=1, keypoints=None):
    """A scene of HEIGHT x WIDTH with squares x, y, side, as polygons."""
    record = random_record(np.random.default_rng(0), len(squares), label, has_crowd=False)
    for i, (x, y, side) in enumerate(squares):
        record.bboxes[i] = [x, y, side, side]
        record.segmentations[i] = [np.array([x, y, x + side, y, x + side, y + side, x, y + side], dtype=float)]
        record.keypoints[i] = 0 if keypoints is None else keypoints
    return see(record, PLAIN, np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))


def test_the_inside_of_a_pasted_object_is_its_own_picture():
    source = square_scene((10, 10, 20), label=7)
    source = source._replace(image=np.random.default_rng(0).integers(1, 256, source.image.shape).astype(np.uint8))
    image, _ = paste(square_scene((0, 0, 5)), source, (0, 0))
    np.testing.assert_array_equal(image[14:26, 14:26], source.image[14:26, 14:26])
    assert not (image[12:28, 10] == source.image[12:28, 10]).all() and image[12:28, 9].any()    # the edge is feathered


def test_pasted_objects_cover_each_other_in_order():
    objects = paste(square_scene((0, 0, 5)), square_scene((10, 10, 20), (20, 10, 20), label=7), (0, 0))[1]
    assert objects.labels.tolist() == [1, 7, 8]
    assert objects.boxes.tolist() == [[0, 0, 5, 5], [10, 10, 20, 30], [20, 10, 40, 30]]
    assert objects.masks.all()


@pytest.mark.parametrize("num_rows, is_left", [(0, False), (1, False), (2, True), (3, True)])
def test_an_object_is_dropped_that_has_less_than_a_tenth_left(num_rows, is_left):
    objects = paste(square_scene((10, 10, 20)), square_scene((10, 10 + num_rows, 20), label=7), (0, 0))[1]
    assert (1 in objects.labels) == is_left and 7 in objects.labels


def test_covered_keypoints_are_hidden_ones():
    scene = square_scene((10, 10, 20), keypoints=[[12, 12, 2], [25, 25, 2], [25, 26, 0]])
    source = square_scene((20, 20, 20), label=7, keypoints=[[25, 25, 2], [1, 1, 1], [0, 0, 0]])
    objects = paste(scene, source, (0, 0))[1]
    assert objects.keypoints[0].tolist() == [[12, 12, 2], [25, 25, 1], [0, 0, 0]]
    assert objects.keypoints[1].tolist() == [[25, 25, 2], [1, 1, 1], [0, 0, 0]]


def test_keypoints_of_pasted_objects_move_with_them():
    record = random_record(np.random.default_rng(0), 1, 7, has_crowd=False)
    record.keypoints[0] = [[20, 30, 2], [40, 10, 1], [0, 0, 0]]
    source = see(record, View((0, 0, WIDTH, HEIGHT), (30, 40)), np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    objects = paste(square_scene((0, 0, 5)), source, (7, 9))[1]
    assert objects.keypoints[1].tolist() == [[17, 24, 2], [27, 14, 1], [0, 0, 0]]


def test_an_object_without_a_mask_counts_as_its_box():
    scene = square_scene((10, 10, 20))
    scene.record.segmentations[0] = None
    scene = scene._replace(objects=see_objects(scene.record, PLAIN, None, PARTNERS))
    source = square_scene((10, 10, 15), label=7)
    source = source._replace(objects=see_objects(source.record, PLAIN, None, PARTNERS))
    assert paste(scene, source, (0, 0))[1].boxes.tolist() == [[10, 10, 30, 30], [10, 10, 25, 25]]
    source = square_scene((10, 10, 20), label=7)
    source = source._replace(objects=see_objects(source.record, PLAIN, None, PARTNERS))
    assert paste(scene, source, (0, 0))[1].labels.tolist() == [7]


def test_what_is_smaller_than_a_pixel_is_not_pasted():
    objects = paste(square_scene((0, 0, 5)), square_scene((10.6, 10.6, 0.3), (20, 20, 20), label=7), (0, 0))[1]
    assert objects.labels.tolist() == [1, 8]


def test_nothing_to_paste_leaves_all_as_it_was():
    scene = square_scene((10, 10, 20))
    image, objects = paste(scene, square_scene(), (0, 0))
    assert image is scene.image and objects.boxes.tolist() == [[10, 10, 30, 30]]


def test_crowds_and_objects_without_a_mask_are_never_pasted():
    record = random_record(np.random.default_rng(0), has_crowd=False)
    record.is_crowd[1], record.segmentations[3] = True, None
    scene = see(record, PLAIN, np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8), None)
    chosen = [choose_objects(np.random.default_rng(seed), scene).objects.numbers.tolist() for seed in range(100)]
    assert set(map(tuple, chosen)) == {(0,), (2,), (4,), (0, 2), (0, 4), (2, 4), (0, 2, 4)}

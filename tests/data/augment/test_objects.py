import numpy as np
import pycocotools.mask as mask_utils
import pytest

from data.augment import CROWD_LABEL, View, see_objects
from data.augment.objects import see_pixels
from slow_masks import HEIGHT, WIDTH, cell_centres, random_record, seen_mask

M = 28
PARTNERS = np.array([0, 2, 1])
WHOLE = (0, 0, WIDTH, HEIGHT)


def random_view(rng):
    x1, y1 = rng.integers(0, [WIDTH - 10, HEIGHT - 10])
    x2, y2 = rng.integers([x1 + 6, y1 + 6], [WIDTH, HEIGHT], endpoint=True)
    return View((int(x1), int(y1), int(x2), int(y2)), tuple(rng.integers(20, 150, 2).tolist()),
                *(rng.random(2) < 0.5).tolist())


def cases(count):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        record, view = random_record(rng), random_view(rng)
        yield record, view, see_objects(record, view, M, PARTNERS)


def test_masks_are_those_of_the_slow_way_at_the_centre_of_each_cell():
    num_sure = num_cells = 0
    for record, view, objects in cases(150):
        for box, mask, label, number in zip(objects.boxes, objects.masks, objects.labels, objects.numbers):
            if label != CROWD_LABEL:
                cell = max(box[2:] - box[:2]) / M
                expected, is_sure = seen_mask(record, view, number, *cell_centres(box, M, M), 0.3 * cell)
                np.testing.assert_array_equal(mask[is_sure] > 0, expected[is_sure])
                num_sure, num_cells = num_sure + is_sure.sum(), num_cells + is_sure.size
    assert num_sure > 0.85 * num_cells > 1e5


def test_pixels_are_those_of_the_slow_way_at_the_centre_of_each_pixel():
    num_sure = num_pixels = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        record, view = random_record(rng, 3), random_view(rng)
        height, width = view.size
        x1, y1 = rng.integers(0, [width - 10, height - 10]).tolist()
        for number in range(3):
            mask = see_pixels(record, view, number, (x1, y1, width, height))
            centres = cell_centres((x1, y1, width, height), height - y1, width - x1)
            expected, is_sure = seen_mask(record, view, number, *centres, 0.3)
            np.testing.assert_array_equal(mask[is_sure], expected[is_sure])
            num_sure, num_pixels = num_sure + is_sure.sum(), num_pixels + is_sure.size
    assert num_sure > 0.9 * num_pixels


def test_every_object_has_a_pixel_and_a_box_in_the_view():
    num_seen = 0
    for _, view, objects in cases(300):
        assert (objects.labels == CROWD_LABEL).all() or objects.masks[objects.labels != CROWD_LABEL].any((1, 2)).all()
        assert (objects.boxes[:, :2] < objects.boxes[:, 2:]).all()
        assert (objects.boxes >= -1e-3).all() and (objects.boxes <= [*view.size[::-1] * 2] + np.float32(1e-3)).all()
        num_seen += len(objects.labels)
    assert num_seen > 500


def test_a_box_is_no_larger_than_what_is_seen_in_it():
    # each side of a cut box is touched: with fine cells the outermost row of cells has a 1, but for thin needles
    touched = []
    for _, _, objects in cases(100):
        for mask, label in zip(objects.masks, objects.labels):
            if label != CROWD_LABEL:
                touched += [side.any() for side in (mask[:2], mask[-2:], mask[:, :2], mask[:, -2:])]
    assert np.mean(touched) > 0.97


def test_an_object_that_is_not_in_the_window_is_left_out():
    for record, view, objects in cases(60):
        for number in set(range(len(record.labels))) - set(objects.numbers.tolist()):
            height, width = view.size
            mask, is_sure = seen_mask(record, view, number, *cell_centres((0, 0, width, height), height, width), 1.5)
            assert not (mask & is_sure).any()


def test_crowds_have_a_label_of_their_own_and_no_mask():
    record = random_record(np.random.default_rng(0), has_crowd=False)
    record.is_crowd[2] = True
    objects = see_objects(record, View(WHOLE, (60, 80)), M)
    assert objects.labels.tolist() == [1, 2, CROWD_LABEL, 4, 5] and objects.labels.dtype == np.int32
    assert not objects.masks[2].any() and objects.masks[[0, 1, 3, 4]].any((1, 2)).all()


def test_the_whole_image_has_all_objects_as_annotated():
    record = random_record(np.random.default_rng(1))
    record.segmentations[0] = [np.array([10.0, 10, 40, 40, 10, 10.001])]    # no cell's centre is in it
    objects = see_objects(record, View(WHOLE, (HEIGHT, WIDTH)), M)
    np.testing.assert_array_equal(objects.boxes, record.boxes)
    assert objects.numbers.tolist() == [0, 1, 2, 3, 4] and not objects.masks[0].any()


def test_an_object_of_which_no_cell_is_left_is_left_out():
    needle = np.array([10.0, 10, 40, 40, 10, 10.001])
    record = random_record(np.random.default_rng(1), has_crowd=False)
    record.segmentations[0], record.bboxes[0] = [needle], [10, 10, 30, 30]
    window = (0, 0, 30, HEIGHT)
    assert 0 not in see_objects(record, View(window, (60, 30)), M).numbers
    assert 0 in see_objects(record, View(window, (60, 30))).numbers    # nobody asked for its mask


def test_without_a_resolution_or_partners_there_are_no_masks_and_no_keypoints():
    objects = see_objects(random_record(np.random.default_rng(0)), View(WHOLE, (60, 80)))
    assert objects.masks is None and objects.keypoints is None


def test_keypoints_stay_with_their_object():
    record, view = random_record(np.random.default_rng(3)), View((20, 0, WIDTH, HEIGHT), (60, 60), True)
    objects = see_objects(record, view, M, PARTNERS)
    assert objects.keypoints.dtype == np.float32 and len(objects.numbers) < 6
    np.testing.assert_array_equal(objects.keypoints, view.see_keypoints(record.keypoints, PARTNERS)[objects.numbers])


def test_keypoints_are_mirrored_by_the_partners_of_their_class():
    record, view = random_record(np.random.default_rng(3), has_crowd=False), View(WHOLE, (60, 80), True)
    record.labels[:] = [1, 2, 1, 2, 2]
    by_class = np.array([PARTNERS, np.arange(3)])
    objects = see_objects(record, view, M, by_class)
    for number, keypoints in enumerate(objects.keypoints):
        expected = view.see_keypoints(record.keypoints[[number]], by_class[record.labels[number] - 1])
        np.testing.assert_array_equal(keypoints, expected[0])


def test_a_record_without_keypoints_has_zeros_beside_others_that_have():
    objects = see_objects(random_record(np.random.default_rng(0), has_keypoints=False), View(WHOLE, (60, 80)), M,
                          PARTNERS)
    assert objects.keypoints.shape == (5, 3, 3) and not objects.keypoints.any()


@pytest.mark.parametrize("mirror_x", [False, True])
def test_an_rle_is_seen_at_its_own_pixels(mirror_x):
    raster = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH)).astype(np.uint8)
    record = random_record(np.random.default_rng(0), 1)
    record.segmentations[0] = mask_utils.encode(np.asfortranarray(raster))
    mask = see_pixels(record, View((10, 5, 60, 45), (40, 50), mirror_x), 0, (0, 0, 50, 40))
    np.testing.assert_array_equal(mask, raster[5:45, 10:60][:, ::-1 if mirror_x else 1])

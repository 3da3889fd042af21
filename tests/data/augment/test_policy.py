import numpy as np
import pytest

from config import new_config
from data.augment import ColourRange, Policy, View, make_policy

SIZE = 60, 80
BOXES = np.float32([[10, 10, 30, 30]])
PLAIN = Policy((50, 100), 200)


def draw(policy, seed=0, size=SIZE, boxes=BOXES, is_kept=lambda window: True):
    return policy.draw_view(np.random.default_rng(seed), size, boxes, is_kept)


def views(policy, count=300, **kwargs):
    return [draw(policy, seed, **kwargs) for seed in range(count)]


def test_by_default_a_view_is_the_whole_image_with_a_size_and_a_mirror_drawn_in_this_order():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        short_edge, mirror = int(rng.integers(50, 100, endpoint=True)), rng.random() < 0.5
        assert draw(PLAIN, seed) == View((0, 0, 80, 60), (short_edge, int(short_edge * 80 / 60 + 0.5)), mirror, False)


def test_the_longest_edge_is_limited():
    assert max(view.size[1] for view in views(Policy((50, 100), 90))) == 90


def test_one_of_several_short_edges_is_drawn():
    edges = [view.size[0] for view in views(Policy(short_edges=(40, 50, 90), max_size=200))]
    assert set(edges) == {40, 50, 90} and min(edges.count(edge) for edge in (40, 50, 90)) > 70


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_mirrors_come_as_often_as_asked(probability):
    found = views(Policy(flip=probability, flip_up_down=1 - probability))
    assert abs(np.mean([view.mirror_x for view in found]) - probability) < 0.06
    assert abs(np.mean([view.mirror_y for view in found]) - (1 - probability)) < 0.06


def test_a_crop_is_resized_as_an_image_of_its_size():
    for view in views(Policy((50, 50), 1000, crop_sides=(20, 40)), 20):
        x1, y1, x2, y2 = view.window
        assert min(view.size) == 50 and abs(view.size[1] / view.size[0] * (y2 - y1) - (x2 - x1)) < 1


def test_crops_come_as_often_as_asked():
    cropped = [view.window != (0, 0, 80, 60) for view in views(Policy(crop_sides=(20, 40), crop=0.3))]
    assert 0.22 < np.mean(cropped) < 0.38


def test_a_random_crop_lies_in_the_one_of_aspect_cropping():
    boxes = np.float32([[100, 10, 130, 30]])
    policy = Policy(aspect_limits=(0.5, 2.0), crop_sides=(0.5, 1.0))
    for view in views(policy, 100, size=(50, 300), boxes=boxes):
        x1, y1, x2, y2 = view.window
        assert 0 <= x1 <= 100 and 130 <= x2 <= 300 and x2 - x1 <= 100 and 0 <= y1 <= 10 and 30 <= y2 <= 50


def test_a_crop_that_keeps_no_object_is_not_taken():
    whole = (0, 0, 80, 60)
    policy = Policy(crop_sides=(20, 40))
    assert {view.window for view in views(policy, 20, is_kept=lambda window: window == whole)} == {whole}
    assert whole not in {view.window for view in views(policy, 20, is_kept=lambda window: False)}    # there was none


def test_large_scale_jitter_takes_the_place_of_short_edges():
    found = views(Policy(jitter_size=64, jitter_scale=(0.5, 1.5)))
    assert max(max(view.size) for view in found) == 64 and min(view.size[1] for view in found) <= 34
    assert any(view.window == (0, 0, 80, 60) for view in found) and any(view.window[2] < 80 for view in found)


def test_jitter_of_a_crop_stays_in_the_crop():
    policy = Policy(aspect_limits=(0.5, 1.0), jitter_size=64, jitter_scale=(2.0, 2.0))
    boxes = np.float32([[50, 10, 60, 30]])
    for view in views(policy, 100, boxes=boxes):
        x1, y1, x2, y2 = view.window
        assert 0 <= x1 < x2 <= 80 and x2 - x1 == 30 and y2 - y1 == 30


def test_what_is_pasted_fits_the_canvas_anywhere():
    policy = Policy(copy_paste_scale=(0.2, 1.5))
    found = [policy.draw_pasted_view(np.random.default_rng(seed), (100, 50), SIZE) for seed in range(500)]
    ends = np.array([(x + view.size[1], y + view.size[0]) for view, (x, y) in found])
    corners = np.array([corner for _, corner in found])
    assert (ends <= [80, 60]).all() and ends.max(axis=0).tolist() == [80, 60] and corners.min(axis=0).tolist() == [0, 0]
    assert {view.mirror_x for view, _ in found} == {False, True}


def test_the_config_says_what_is_on():
    cfg = new_config()
    assert make_policy(cfg.PREPROC) == Policy()
    cfg.update_args([
        "PREPROC.TRAIN_SHORT_EDGE_SIZE=(640, 800)", "PREPROC.MAX_SIZE=1000", "PREPROC.TRAIN_SHORT_EDGES=(640, 720)",
        "PREPROC.FLIP=0.4", "PREPROC.FLIP_UP_DOWN=0.3", "PREPROC.ASPECT_CROPPING=True", "PREPROC.ASPECT_LIMITS=(1, 3)",
        "PREPROC.RANDOM_CROP=(384, 600)", "PREPROC.RANDOM_CROP_PROBABILITY=0.6", "PREPROC.JITTER_SIZE=1024",
        "PREPROC.JITTER_SCALE=(0.8, 1.25)", "PREPROC.COPY_PASTE=0.7", "PREPROC.COPY_PASTE_SCALE=(0.5, 1.5)",
        "PREPROC.BRIGHTNESS=0.1", "PREPROC.CONTRAST=0.2", "PREPROC.SATURATION=0.3", "PREPROC.HUE=20",
        "PREPROC.GREY=0.05"])
    assert make_policy(cfg.PREPROC) == Policy(
        (640, 800), 1000, (640, 720), 0.4, 0.3, (1.0, 3.0), (384, 600), 0.6, 1024, (0.8, 1.25), 0.7, (0.5, 1.5),
        ColourRange(0.1, 0.2, 0.3, 20.0, 0.05))

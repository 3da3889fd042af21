"""Pictures of a network's stages."""
import common  # noqa: F401

import numpy as np
import pytest

import data
from data.records import Skeleton
from fake_network import point_logits
from inference.detections import Detections
from inference.stages import Stages
from viz import stages as viz
from viz.stages import Thresholds, draw_stages, suppressors

NAMES = ("cat", "dog")
THRESHOLDS = Thresholds(0.5, 0.5, 0.5, 0.5)
CAT, DOG = (100, 100, 300, 300), (350, 150, 450, 400)


@pytest.fixture
def image():
    return np.full((500, 600, 3), 90, np.uint8)


@pytest.fixture
def panels(monkeypatch):
    """What is drawn goes into this list, as panels"""
    drawn = []
    monkeypatch.setattr(viz, "join_panels", lambda panels, legend: drawn.extend([panels, legend]))
    return drawn


def make_stages(proposals=(CAT, (104, 100, 300, 300), DOG), labels=(1, 1, 2), scores=(0.9, 0.8, 0.3)):
    n, keep = len(proposals), [i for i in (0, 2) if i < len(proposals)]
    boxes, class_scores = np.float32(proposals).reshape(-1, 4), np.zeros((n, 3), np.float32)
    class_scores[np.arange(n), list(labels)] = scores
    found = Detections(boxes[keep], np.float32(scores)[keep], np.array(labels, int)[keep], 500, 600,
                       np.ones((len(keep), 28, 28), np.float32), NAMES,
                       np.tile(point_logits([(5, 5)]), (len(keep), 1, 1, 1)), Skeleton(("nose",), ()))
    return Stages(boxes, np.linspace(0.9, 0.6, n).astype(np.float32), boxes, class_scores, found)


def make_record(boxes, labels, is_crowd=False):
    record = data.Record.of_boxes("a.jpg", 1, 500, 600, boxes, labels)
    record.is_crowd[:] = is_crowd
    return record


def test_with_the_ground_truth_there_are_two_pictures_more(image, panels):
    draw_stages(image, make_stages(), THRESHOLDS)
    draw_stages(image, make_stages(), THRESHOLDS, make_record([CAT, DOG], [1, 2]))
    titles = [[panel.title for panel in drawn] for drawn in panels[::2]]
    assert titles == [["3 proposals", "2 boxes before NMS", "1 detections"],
                      ["ground truth", "3 proposals", "proposals of 2 of 2 objects", "2 boxes before NMS",
                       "1 detections"]]
    assert (image == 90).all()


def test_heatmaps_are_added_where_they_are_asked_for(image, panels):
    draw_stages(image, make_stages(), THRESHOLDS, heatmaps=True)
    assert [panel.title for panel in panels[0]][3:] == ["mask probabilities", "keypoint heatmaps"]
    assert [name for name, _ in panels[1]] == ["cat", "keypoint nose"]


def test_an_object_that_no_proposal_matches_is_said_to_be_missed(image, panels):
    draw_stages(image, make_stages(), THRESHOLDS, make_record([(0, 0, 90, 90), CAT], [2, 1]))
    matches = panels[0][2]
    assert matches.title == "proposals of 1 of 2 objects" and "of 2 with IoU >= 0.5" in matches.note
    assert (matches.picture[:90, :90] == viz.MARK).all(axis=2).any()
    assert not (matches.picture[95:] == viz.MARK).all(axis=2).any()


def test_crowds_are_not_matched(image, panels):
    draw_stages(image, make_stages(), THRESHOLDS, make_record([CAT], [1], is_crowd=True))
    assert panels[0][0].note == "1 objects, 1 of them crowds or difficult"
    assert panels[0][2].title == "proposals of 0 of 0 objects"


def test_thresholds_say_what_is_drawn(image, panels):
    draw_stages(image, make_stages(), Thresholds(0.7, 0.2, 0.5, 0.5))
    assert [panel.title for panel in panels[0]] == ["2 proposals", "3 boxes before NMS", "2 detections"]


def test_a_class_has_its_color_in_every_picture(image, panels):
    draw_stages(image, make_stages(), THRESHOLDS, make_record([CAT], [1]))
    for i in (0, 2, 3, 4):
        assert (panels[0][i].picture == viz.class_color(1)).all(axis=2).any()
    assert panels[1] == [("cat", viz.class_color(1))]


def test_of_too_many_boxes_the_best_are_drawn(image, panels):
    boxes = [(i % 20 * 30, i // 20 * 30, i % 20 * 30 + 20, i // 20 * 30 + 20) for i in range(200)]
    draw_stages(image, make_stages(boxes, [1] * 200, np.linspace(0.9, 0.6, 200)), THRESHOLDS)
    assert panels[0][0].title == "200 proposals" and f"best {viz.MAX_BOXES} are drawn" in panels[0][0].note
    assert (panels[0][0].picture != 90).any(axis=2)[:80].any() and (panels[0][0].picture[130:] == 90).all()


def test_an_image_with_nothing_in_it_can_be_drawn(image):
    drawn = draw_stages(image, make_stages((), (), ()), THRESHOLDS, make_record([], []), heatmaps=True)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3


def test_a_box_stays_in_place_of_those_of_its_class_that_it_overlaps():
    boxes = np.float32([CAT, (104, 100, 300, 300), (110, 100, 300, 300), DOG, CAT])
    assert suppressors(boxes, np.array([1, 1, 1, 1, 2]), 0.5).tolist() == [0, 0, 0, 3, 4]


def test_what_is_suppressed_suppresses_nothing():
    chain = np.float32([(0, 0, 100, 100), (30, 0, 130, 100), (60, 0, 160, 100)])
    assert suppressors(chain, np.ones(3, int), 0.5).tolist() == [0, 0, 2]

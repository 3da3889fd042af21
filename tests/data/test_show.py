"""Pictures of what a network is trained on."""
import cv2
import numpy as np
import pytest

import checked_folder
import data
from config import finalize_configs
from data import show


@pytest.fixture
def prepared(tmp_path):
    """A config of 2 images a batch, and its data sets to train on."""
    return prepare(tmp_path)


def prepare(folder, *words, contents=None):
    checked_folder.write(folder, contents)
    cfg = checked_folder.make_config(folder, "DATA.NUM_WORKERS=0", "TRAIN.IMS_PER_GPU=2", "PREPROC.MAX_SIZE=160",
                                     "PREPROC.TRAIN_SHORT_EDGE_SIZE=(90, 90)", "PREPROC.TEST_SHORT_EDGE_SIZE=90",
                                     *words)
    datasets = data.load_datasets(cfg, cfg.DATA.TRAIN)
    data.fill_categories(cfg, datasets)
    finalize_configs(cfg, is_training=True)
    return cfg, datasets


def test_as_many_pictures_as_asked_for_are_written_and_a_sheet_of_all(tmp_path, prepared):
    show.show(*prepared, number=5, output=str(tmp_path / "shown"))
    names = sorted(path.name for path in (tmp_path / "shown").iterdir())
    assert len(names) == 6 and names[-1] == "sheet.jpg"
    assert {name[5:] for name in names[:3]} == {"1.jpg", "2.jpg", "3.jpg"}
    assert cv2.imread(str(tmp_path / "shown" / "sheet.jpg")).shape == (2 * show.SHEET_TILE, 3 * show.SHEET_TILE, 3)


def test_boxes_and_masks_are_drawn_on_the_augmented_image(prepared, monkeypatch):
    drawn = []
    monkeypatch.setattr(show, "draw_ground_truth", lambda image, truth, edges: drawn.append((image, truth)))
    next(show.drawn_samples(*prepared))
    ((image, truth),) = drawn[:1]
    assert image.shape == (90, 120, 3)
    left = 15 if truth.boxes[0, 0] < 50 else 120 - 45    # flipped or not
    np.testing.assert_allclose(truth.boxes, [[left, 15, left + 30, 45]], atol=1e-4)
    crop, corner = truth.masks[0]
    assert corner == (left, 15) and crop.shape == (30, 30) and crop.mean() > 0.9


@pytest.mark.parametrize("has_masks", [True, False])
def test_keypoints_are_drawn_on_the_augmented_image(tmp_path, monkeypatch, has_masks):
    contents = checked_folder.clean_content()
    contents["train"]["categories"][0].update(keypoints=["left", "right"], skeleton=[[1, 2]])
    contents["train"]["annotations"][0]["keypoints"] = [11.5, 19.5, 2, 19.5, 19.5, 1]
    drawn = []
    monkeypatch.setattr(show, "draw_ground_truth", lambda *arguments: drawn.append(arguments))
    next(show.drawn_samples(*prepare(tmp_path, "MODE_KEYPOINT=True", f"MODE_MASK={has_masks}", "PREPROC.FLIP=1.0",
                                     contents=contents)))
    ((_, truth, edges),) = drawn
    assert edges == ((0, 1),) and (truth.masks[0] is not None) == has_masks
    np.testing.assert_allclose(truth.keypoints, [[[120 - 30, 30, 1], [120 - 18, 30, 2]]], atol=1e-4)


def test_a_window_that_is_closed_ends_it(prepared):
    class Closed:
        def __init__(self):
            self.shown = 0

        def show(self, picture, wait):
            self.shown += 1
            return self.shown < 2

    window = Closed()
    show.show(*prepared, number=5, window=window)
    assert window.shown == 2

import json
import os

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from hypothesis import given, settings, strategies as st

from coco_folder import HEIGHT, SQUARE, WIDTH, make_annotation, make_content, write
from data import coco, coco_cache, records

RUNS = [100, 50, HEIGHT * WIDTH - 150]


@pytest.fixture(autouse=True)
def small_files_have_a_cache_too(monkeypatch):
    monkeypatch.setattr(coco_cache, "MIN_BYTES", 0)


@pytest.fixture
def lines(monkeypatch):
    found = []
    monkeypatch.setattr(records.logger, "warn", found.append)
    return found


def make_set(folder, num_images=40):
    """A data set with all kinds of segmentations, an image that is missing and annotations that are skipped."""
    content = make_content(num_images)
    rle = {"size": [HEIGHT, WIDTH], "counts": RUNS}
    text = mask_utils.frPyObjects(rle, HEIGHT, WIDTH)["counts"].decode("ascii")
    for i, segmentation in enumerate([rle, {**rle, "counts": text}, None, [SQUARE, [1, 2, 3, 4, 5, 0.001]],
                                      [[-1, 2, 700, 4, 5, 6]]]):
        content["annotations"].append({**make_annotation(500 + i, 2), "segmentation": segmentation})
    content["annotations"].append({**make_annotation(600, 2), "bbox": [1]})
    path = write(folder, content)
    os.remove(folder / "train" / "7.jpg")
    return path


def load(folder):
    dataset = coco.load_coco(str(folder), "train")
    return {**vars(dataset), "records": [repr(vars(record)) for record in dataset.records]}


def has_cache(folder):
    return os.path.isfile(folder / "annotations" / "instances_train.json.cache")


def is_read_from_json(folder, monkeypatch):
    """Whether loading a data set opens the annotation file."""
    reads = []
    read = coco.read_json
    monkeypatch.setattr(coco, "read_json", lambda path: reads.append(path) or read(path))
    load(folder)
    return bool(reads)


def test_a_second_time_gives_the_same_and_opens_no_json(tmp_path, lines, monkeypatch):
    make_set(tmp_path)
    first, said = load(tmp_path), lines[:]
    lines.clear()
    monkeypatch.delattr(coco, "read_json")
    assert load(tmp_path) == first
    assert lines == said and len(lines) == 2


def test_a_skeleton_is_kept(tmp_path, monkeypatch):
    content = make_content(2)
    for category in content["categories"]:
        category.update(keypoints=["left", "right"], skeleton=[[1, 2]])
    content["annotations"][0]["keypoints"] = [10, 20, 2, 3, 4, 1]
    write(tmp_path, content)
    first = load(tmp_path)
    monkeypatch.delattr(coco, "read_json")
    assert load(tmp_path) == first and first["skeleton"].edges == ((0, 1),)


def write_classes_with_other_keypoints(folder):
    """A cat has two keypoints and an annotation with both, a dog has one of them, a cow none."""
    content = make_content(2)
    content["categories"][0].update(keypoints=["left", "right"], skeleton=[[1, 2]])
    content["categories"][1].update(keypoints=["right"])
    content["annotations"][0]["keypoints"] = [10, 20, 2, 3, 4, 1]
    write(folder, content)


def test_the_keypoints_of_each_class_are_kept(tmp_path, monkeypatch):
    write_classes_with_other_keypoints(tmp_path)
    first = load(tmp_path)
    monkeypatch.delattr(coco, "read_json")
    assert load(tmp_path) == first and first["skeleton"].of_class == ((0,), (1, 0), ())


def test_small_annotation_files_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_cache, "MIN_BYTES", 10**6)
    make_set(tmp_path)
    load(tmp_path)
    assert not has_cache(tmp_path)


def touch_json(folder):
    os.utime(folder / "annotations" / "instances_train.json", ns=(0, 0))


def grow_json(folder):
    path = folder / "annotations" / "instances_train.json"
    status = os.stat(path)
    path.write_text(path.read_text() + " ")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def lose_image(folder):
    os.remove(folder / "train" / "9.jpg")


def find_image(folder):
    (folder / "train" / "7.jpg").touch()


@pytest.mark.parametrize("change", [touch_json, grow_json, lose_image, find_image])
def test_what_was_read_of_something_else_is_not_used(tmp_path, lines, monkeypatch, change):
    make_set(tmp_path)
    load(tmp_path)
    assert not is_read_from_json(tmp_path, monkeypatch)
    change(tmp_path)
    assert is_read_from_json(tmp_path, monkeypatch)


def test_a_checker_reads_the_file_itself(tmp_path, monkeypatch):
    make_set(tmp_path)
    load(tmp_path)
    with records.collecting_problems() as problems:
        assert is_read_from_json(tmp_path, monkeypatch)
    assert [problem.kind for problem in problems] == ["image-missing", "box-form"]


def test_a_folder_that_cannot_be_written_to_is_done_without(tmp_path, monkeypatch):
    make_set(tmp_path)

    def refuse(*args, **kwargs):
        raise OSError("read-only file system")

    monkeypatch.setattr(coco_cache.np, "savez", refuse)
    assert len(load(tmp_path)["records"]) == 39
    assert sorted(os.listdir(tmp_path / "annotations")) == ["instances_train.json"]


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 10**6]), st.binary(max_size=2))
def test_a_damaged_cache_is_done_without(tmp_path_factory, place, num_lost, put):
    folder = tmp_path_factory.mktemp("set")
    with pytest.MonkeyPatch.context() as m:
        m.setattr(records.logger, "warn", lambda line: None)
        make_set(folder, num_images=10)
        m.setattr(records, "MAX_BAD_SHARE", 0.5)
        first = load(folder)
        path = folder / "annotations" / "instances_train.json.cache"
        content = bytearray(path.read_bytes())
        where = int(place * len(content))
        content[where:where + num_lost] = put
        path.write_bytes(content)
        assert load(folder) == first


# written by a stranger ----------------------------------------------------------------------------------------------
def forge(folder, **changes):
    """Write the cache anew, with arrays that are changed in place by functions; `meta` is a dict."""
    path = folder / "annotations" / "instances_train.json.cache"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file}
    meta = json.loads(arrays["meta"].tobytes())
    for name, change in changes.items():
        target = meta if name == "meta" else arrays[name.replace("__", ".")]
        replaced = change(target)
        if replaced is not None:
            arrays[name.replace("__", ".")] = replaced
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    with open(path, "wb") as f:
        np.savez(f, **arrays)


def setter(index, value):
    def change(array):
        array[index] = value
    return change


FORGERIES = {
    "an older version": dict(meta=lambda meta: meta["stamp"].__setitem__(0, 0)),
    "a folder that is not there": dict(meta=lambda meta: meta.update(folder=7)),
    "a name that leads out": dict(images__names=setter(slice(0, 5), np.frombuffer(b"../a.", np.uint8))),
    "ids twice": dict(images__ids=setter(0, 2)),
    "an image without pixels": dict(images__sizes=setter((0, 0), 0)),
    "images of floats": dict(images__sizes=lambda array: array.astype(np.float64)),
    "offsets beyond the objects": dict(images__object_offsets=setter(-1, 1000)),
    "offsets that fall": dict(images__object_offsets=setter(3, 100)),
    "a class that is not there": dict(objects__labels=setter(0, 4)),
    "a box outside of its image": dict(objects__bboxes=setter((0, 0), WIDTH)),
    "a box that is no number": dict(objects__bboxes=setter((0, 0), np.nan)),
    "an area that is no number": dict(objects__areas=setter(0, np.nan)),
    "parts beyond all": dict(objects__first_parts=setter(0, 10**9)),
    "parts before all": dict(objects__first_parts=setter(0, -1)),
    "parts of another": dict(objects__first_parts=setter(0, 1)),
    "a negative number of parts": dict(objects__num_parts=setter(0, -1)),
    "a kind that is not there": dict(parts__kinds=setter(0, 5)),
    "a polygon of two points": dict(parts__kinds=setter(0, 2)),
    "keypoints without a skeleton": dict(meta=lambda meta: meta.update(skeleton=[["a"], [], []])),
    "one shape for all": dict(objects__areas=lambda array: array[:1]),
    "no class": dict(meta=lambda meta: meta.update(class_names=[], category_ids=[])),
    "more skipped than is bearable": dict(meta=lambda meta: meta["skipped"][0].__setitem__(2, 40)),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_cache_that_breaks_a_rule_is_not_used(tmp_path, lines, monkeypatch, what):
    make_set(tmp_path)
    load(tmp_path)
    forge(tmp_path, **FORGERIES[what])
    assert is_read_from_json(tmp_path, monkeypatch)


@pytest.mark.parametrize("part, value", [
    (0, []), (1, [[0, 2]]), (2, [[0], [1, 0]]), (2, [[0], [1, 2], []]), (2, [[0], [1, 1], []]), (2, [[0], [0], []])],
    ids=["no names", "a line to nowhere", "a class too few", "a keypoint that is not there", "a keypoint twice",
         "an object with what its class lacks"])
def test_a_skeleton_that_breaks_a_rule_is_not_used(tmp_path, monkeypatch, part, value):
    write_classes_with_other_keypoints(tmp_path)
    load(tmp_path)
    forge(tmp_path, meta=lambda meta: meta["skeleton"].__setitem__(part, value))
    assert is_read_from_json(tmp_path, monkeypatch)


@pytest.mark.parametrize("values, dtype", [(RUNS, np.uint32), ([-100, 200, 70000], np.int32)], ids=["RLE", "polygon"])
def test_a_forged_mask_that_would_take_all_time_is_not_used(tmp_path, lines, monkeypatch, values, dtype):
    make_set(tmp_path)
    load(tmp_path)
    first = np.array(values, dtype=dtype).tobytes()

    def lengthen(content):
        content[content.tobytes().index(first) + 11] = 127    # the highest byte of the third number

    forge(tmp_path, parts__content=lengthen)
    assert is_read_from_json(tmp_path, monkeypatch)

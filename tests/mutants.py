"""
Whether the tests notice when the program breaks: `make mutants`.

Each mutant is one line of the product that is broken on purpose. The tests that are named beside it run on a copy of
the last commit that has this one break, and one of them ought to fail. The results of a commit are kept, so that
a call that was interrupted goes on where it was.
"""
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from typing import NamedTuple

import pytest
import tabulate

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, ".mutants")    # a folder with a file for each commit
TIME_LIMIT = 600    # seconds for the tests of one mutant


class Mutant(NamedTuple):
    """
    A break of one line.

    Attributes:
        path (str): of the file
        before, after (str): the line, which is there once, and what takes its place; both without indentation
        tests (str): the narrowest arguments of pytest whose tests ought to fail
    """

    path: str
    before: str
    after: str
    tests: str


MUTANTS = [Mutant(*fields) for fields in (
    # the network ------------------------------------------------------------------------------------------------------
    ("modeling/anchors.py",
     "positive = (best_iou >= positive_thresh) | is_best_of_box",
     "positive = best_iou >= positive_thresh",
     "tests/modeling/test_anchors.py"),
    ("modeling/anchors.py",
     "negative = (best_iou < negative_thresh) & tf.logical_not(crowded)",
     "negative = best_iou < negative_thresh",
     "tests/modeling/test_anchors.py"),
    ("modeling/boxes.py",
     "limit = tf.cast(tf.gather(sizes, [1, 0, 1, 0], axis=-1), boxes.dtype)",
     "limit = tf.cast(tf.gather(sizes, [0, 1, 0, 1], axis=-1), boxes.dtype)",
     "tests/modeling/test_boxes.py"),
    ("modeling/boxes.py",
     "half = tf.exp(tf.minimum(deltas[..., 2:], max_log_scale)) * anchor_size * 0.5",
     "half = tf.exp(deltas[..., 2:]) * anchor_size * 0.5",
     "tests/modeling/test_boxes.py"),
    ("modeling/boxes.py",
     'score_threshold=float("-inf"), pad_to_max_output_size=True))',
     "score_threshold=0.0, pad_to_max_output_size=True))",
     "tests/modeling/test_boxes.py tests/modeling/test_rpn.py"),
    ("modeling/sampling.py",
     "bg_drawn &= tf.range(tf.shape(bg_indices)[1])[None] < num_bg",
     "bg_drawn &= tf.range(tf.shape(bg_indices)[1])[None] <= num_bg",
     "tests/modeling/test_sampling.py"),
    ("modeling/sampling.py",
     "gt_index = tf.gather(gt_index, index) + image_index * num_gt",
     "gt_index = tf.gather(gt_index, index)",
     "tests/modeling/test_sampling.py"),
    ("modeling/losses.py",
     "return 1 - iou + _ratio(_product(around) - union, _product(around))",
     "return 1 - iou + _ratio(_product(around) - union, union)",
     "tests/modeling/test_losses.py"),
    ("modeling/losses.py",
     "return 1.0 / (tf.gather(counts, image_index) * tf.cast(num_images, tf.float32))",
     "return 1.0 / (tf.cast(tf.size(image_index), tf.float32) + 0.0 * tf.cast(image_index, tf.float32))",
     "tests/modeling/test_losses.py"),
    ("modeling/rpn.py",
     "large = tf.reduce_all(boxes[..., 2:] - boxes[..., :2] > min_size, axis=-1)",
     "large = tf.reduce_all(boxes[..., 2:] - boxes[..., :2] >= min_size, axis=-1)",
     "tests/modeling/test_rpn.py"),
    ("modeling/rpn.py",
     "count = tf.shape(labels)[0] * batch_per_im",
     "count = batch_per_im",
     "tests/modeling/test_rpn.py"),
    ("modeling/roi_pool.py",
     "first_bin = (high - low) * (0.5 / size) - 0.5",
     "first_bin = (high - low) * (0.5 / size)",
     "tests/modeling/test_roi_pool.py"),
    ("modeling/roi_pool.py",
     "level = tf.floor(CANONICAL_LEVEL + tf.math.log(size / CANONICAL_SIZE + 1e-6) / math.log(2))",
     "level = tf.round(CANONICAL_LEVEL + tf.math.log(size / CANONICAL_SIZE + 1e-6) / math.log(2))",
     "tests/modeling/test_roi_pool.py"),
    ("modeling/padding.py",
     "rows = tf.minimum(tf.maximum(tf.range(-1, shape[1] + after), 0)[None], last[:, :1])",
     "rows = tf.minimum(tf.maximum(tf.range(-1, shape[1] + after), 0)[None], last[:, 1:])",
     "tests/modeling/test_padding.py"),
    ("modeling/box_head.py",
     "fg_boxes = tf.minimum(fg_labels, tf.shape(deltas)[1] - 1)",
     "fg_boxes = tf.minimum(fg_labels - 1, tf.shape(deltas)[1] - 1)",
     "tests/modeling/test_box_head.py"),
    ("modeling/box_head.py",
     "candidates = tf.where(scores[:, 1:] > score_thresh)",
     "candidates = tf.where(scores[:, 1:] >= score_thresh)",
     "tests/modeling/test_box_head.py"),
    ("modeling/cascade.py",
     "return tf.identity(x), lambda grad: grad * factor",
     "return tf.identity(x), lambda grad: grad",
     "tests/modeling/test_cascade.py"),
    ("modeling/mask_head.py",
     "targets = crop_bins(tf.cast(gt_masks, tf.float32)[..., None], in_mask_cells, gt_index, size)",
     "targets = crop_bins(tf.cast(gt_masks, tf.float32)[..., None], rois, gt_index, size)",
     "tests/modeling/test_mask_head.py"),
    ("modeling/backbones/resnet.py",
     "first_stride, second_stride = (stride, 1) if self.stride_1x1 else (1, stride)",
     "first_stride, second_stride = (1, stride)",
     "tests/modeling/backbones/test_resnet.py"),
    ("modeling/fpn.py",
     "return pyramid + [pyramid[-1][:, ::2, ::2]]",
     "return pyramid + [pyramid[-1][:, 1::2, 1::2]]",
     "tests/modeling/test_fpn.py"),
    ("modeling/layers.py",
     "variance = tf.maximum(group_mean(tf.square(x)) - tf.square(mean), 0.0)",
     "variance = group_mean(tf.square(x))",
     "tests/modeling/test_layers.py"),
    ("modeling/layers.py",
     "unbiased = variance * pixels / tf.maximum(pixels - 1, 1)",
     "unbiased = variance",
     "tests/modeling/test_layers.py"),
    ("modeling/generalized_rcnn.py",
     "images *= tf.cast(rows[:, :, None, None] & columns[:, None, :, None], tf.float32)",
     "images *= tf.cast(rows[:, :, None, None], tf.float32)",
     "tests/modeling/test_generalized_rcnn.py -k preprocessing"),
    ("modeling/generalized_rcnn.py",
     "mean, std = (tf.constant(v[::-1]) for v in (self.cfg.PREPROC.PIXEL_MEAN, self.cfg.PREPROC.PIXEL_STD))",
     "mean, std = (tf.constant(v) for v in (self.cfg.PREPROC.PIXEL_MEAN, self.cfg.PREPROC.PIXEL_STD))",
     "tests/modeling/test_generalized_rcnn.py -k preprocessing"),
    # training ---------------------------------------------------------------------------------------------------------
    ("training/optimizers.py",
     "return tf.group(*[total.assign(tf.zeros_like(total)) for total in sums])",
     "return tf.group(*totals)",
     "tests/training/test_optimizers.py"),
    ("training/optimizers.py",
     "return tf.group(num_good.assign(0), scale.assign(tf.maximum(factor / 2, 1.0)))",
     "return tf.group(num_good.assign(0), scale.assign(factor))",
     "tests/training/test_optimizers.py"),
    ("training/cpu_gradients.py",
     "shift = row * width + column",
     "shift = row * width - column",
     "tests/training/test_cpu_gradients.py"),
    ("training/schedule.py",
     "self.base = cfg.BASE_LR * (batch * accumulated_steps(cfg)) / REFERENCE_BATCH",
     "self.base = cfg.BASE_LR",
     "tests/training/test_schedule.py"),
    ("training/schedule.py",
     "*self.drops, self.num_steps = [max(int(step * REFERENCE_BATCH / batch), 1) for step in cfg.LR_SCHEDULE]",
     "*self.drops, self.num_steps = [max(int(step), 1) for step in cfg.LR_SCHEDULE]",
     "tests/training/test_schedule.py"),
    ("training/checkpoint.py",
     "for pattern in _DATA, INDEX:",
     "for pattern in INDEX, _DATA:",
     "tests/training/test_checkpoint.py"),
    ("training/checkpoint.py",
     "steps = [other for other in checkpoint_steps(folder) if other <= step]",
     "steps = checkpoint_steps(folder)",
     "tests/training/test_checkpoint.py"),
    ("training/loop.py",
     "end = min(self.epoch_num * self.schedule.steps_per_epoch, self.schedule.num_steps)",
     "end = self.epoch_num * self.schedule.steps_per_epoch",
     "tests/test_train.py -k last_step"),
    ("training/stop.py",
     "self.saver.trigger()",
     "pass",
     "tests/test_train.py -k asked_to_stop"),
    ("training/logdir.py",
     "if os.path.exists(config_path(logdir)) and not overwrite:",
     "if False:",
     "tests/test_train.py -k existing_run"),
    # distributed ------------------------------------------------------------------------------------------------------
    ("distributed/watchdog.py",
     "elif link.rank is not None and silence > self.patience:",
     "elif link.rank is not None and silence > 100 * self.patience:",
     "tests/distributed/test_watchdog.py -k stopped_for_longer"),
    ("distributed/watchdog.py",
     'if not known or rank not in range(1, self.size) or rank in self._seen:',
     'if rank not in range(1, self.size) or rank in self._seen:',
     "tests/distributed/test_watchdog.py -k stranger"),
    ("distributed/__init__.py",
     "return max(sizes)",
     "return sizes[0]",
     "tests/distributed/test_jobs.py -k refused"),
    # data -------------------------------------------------------------------------------------------------------------
    ("data/dataflow.py",
     "rng = np.random.default_rng([self._seed, epoch])",
     "rng = np.random.default_rng(self._seed)",
     "tests/data/test_dataflow.py"),
    ("data/dataflow.py",
     "labels = np.where(record.is_crowd, CROWD_LABEL, record.labels).astype(np.int32)",
     "labels = record.labels.astype(np.int32)",
     "tests/data/test_dataflow.py"),
    ("data/augment.py",
     "flipped[:, 0], flipped[:, 2] = width - boxes[:, 2], width - boxes[:, 0]",
     "flipped[:, 0], flipped[:, 2] = width - 1 - boxes[:, 2], width - 1 - boxes[:, 0]",
     "tests/data/test_augment.py"),
    ("data/augment.py",
     "centres = (np.arange(resolution) + 0.5) / resolution",
     "centres = np.arange(resolution) / resolution",
     "tests/data/test_augment.py"),
    ("data/augment.py",
     "return masks[:, :, ::-1]",
     "return masks[:, ::-1]",
     "tests/data/test_augment.py"),
    ("data/coco.py",
     "x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)",
     "x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, height), min(y + h, width)",
     "tests/data/test_coco.py"),
    ("data/coco.py",
     "if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:",
     "if os.path.isabs(relative):",
     "tests/data/test_coco.py"),
    ("data/images.py",
     "image = cv2.imdecode(content, flags) if content.size else None",
     "image = cv2.imread(path, flags)",
     "tests/data/test_images.py"),
    ("data/images.py",
     "scale = min(short_edge / min(height, width), max_size / max(height, width))",
     "scale = short_edge / min(height, width)",
     "tests/data/test_images.py"),
    ("data/registry.py",
     "if (first.class_names, first.category_ids) != (other.class_names, other.category_ids):",
     "if first.class_names != other.class_names:",
     "tests/data/test_registry.py"),
    # metrics, inference, viz ------------------------------------------------------------------------------------------
    ("metrics/coco.py",
     '"iscrowd": int(annotation.get("iscrowd", 0)), "area": w * h if area is None else float(area)}',
     '"iscrowd": 0, "area": w * h if area is None else float(area)}',
     "tests/metrics/test_coco.py"),
    ("metrics/coco.py",
     'results = [r for r in results if r["image_id"] in truth.images and r["category_id"] in truth.categories]',
     'results = [r for r in results if r["image_id"] in truth.images]',
     "tests/metrics/test_coco.py"),
    ("inference/masks.py",
     "counts = np.diff(positions[(times % 2 == 1) & (positions < total)], prepend=0, append=total)",
     "counts = np.diff(positions[positions < total], prepend=0, append=total)",
     "tests/inference/test_masks.py"),
    ("inference/detect.py",
     "scale = np.array([width / image.shape[1], height / image.shape[0]] * 2, dtype=np.float32)",
     "scale = np.array([height / image.shape[0], width / image.shape[1]] * 2, dtype=np.float32)",
     "tests/inference/test_detect.py"),
    ("inference/stream.py",
     "pending.append(pool.submit(function, item))",
     "pending.appendleft(pool.submit(function, item))",
     "tests/inference/test_stream.py"),
    ("inference/results.py",
     'if not line.endswith(b"\\n"):',
     "if not line:",
     "tests/inference/test_results.py"),
    ("inference/detector.py",
     "if image.dtype != np.uint8:",
     "if image.dtype == object:",
     "tests/test_predict.py -k no_image"),
    ("inference/frozen.py",
     "if its_key == key and its_digest == _digest(content):",
     "if its_digest == _digest(content):",
     "tests/inference/test_frozen.py"),
    ("predict.py",
     "while stem in stems:",
     "while False:",
     "tests/test_predict.py -k equal_stems"),
    ("viz/detections.py",
     "colors = {i: instance_color(rank) for rank, i in enumerate(order[::-1])}",
     "colors = {i: instance_color(rank) for rank, i in enumerate(order)}",
     "tests/viz/test_detections.py"),
    # weights, config, common ------------------------------------------------------------------------------------------
    ("weights/fit.py",
     "missing = [name for name in variables if name not in taken]",
     "missing = []",
     "tests/weights/test_weights.py"),
    ("weights/detectron.py",
     "return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T",
     "return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array.T",
     "tests/weights/test_detectron.py"),
    ("weights/safe_pickle.py",
     "if not NUMERIC.fullmatch(code):",
     "if not code:",
     "tests/weights/test_safe_pickle.py"),
    ("settings/words.py",
     "if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):",
     "if isinstance(default, float) and isinstance(value, int):",
     "tests/settings/test_words.py"),
    ("settings/checks.py",
     '_check(min(flat["PREPROC.PIXEL_STD"]) > 0, f"PREPROC.PIXEL_STD={flat[\'PREPROC.PIXEL_STD\']} must be positive")',
     "pass",
     "tests/settings/test_checks.py"),
    ("settings/tree.py",
     "if path in _files:",
     "if path in ():",
     "tests/settings/test_words.py"),
    ("common.py",
     "os.replace(partial, path)",
     "os.rename(partial, path + '.new')",
     "tests/test_common.py tests/test_eval.py -k 'json_file or whole'"),
)]


def broken(mutant, tree):
    """
    Returns:
        str, the text of the mutant's file in the folder `tree`, with the break

    Raises:
        ValueError: the line is not there exactly once
    """
    text = ""
    if os.path.exists(path := os.path.join(tree, mutant.path)):
        with open(path, encoding="utf-8") as f:
            text = f.read()
    pattern = re.compile(rf"^([ ]*){re.escape(mutant.before)}$", re.MULTILINE)
    count = len(pattern.findall(text))
    if count != 1:
        raise ValueError(f"{mutant.path}: the line {mutant.before!r} is there {count} times")
    return pattern.sub(lambda match: match[1] + mutant.after, text)


def outdated(mutants, tree):
    """Returns: list[str], what is wrong with the mutants whose line or tests are not in the folder `tree`"""
    problems = []
    for mutant in mutants:
        try:
            broken(mutant, tree)
        except ValueError as e:
            problems.append(str(e))
        problems += [f"{mutant.path}: there is no {word}" for word in shlex.split(mutant.tests)
                     if word.startswith("tests/") and not os.path.exists(os.path.join(tree, word))]
    return problems


def first_failure(tests, tree):
    """
    Returns:
        str: the first test that fails in the folder `tree`, of the quick ones, or else of the slow ones with "(slow)"
            behind its name; "(time)" when they do not end; None when none fails

    Raises:
        ValueError: they could not be run
    """
    # a file that changes twice in a second could be taken for its old bytecode
    environ = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *shlex.split(tests), "-m"]
    for marker, remark in (("not slow", ""), ("slow", " (slow)")):
        try:
            ended = subprocess.run(
                [*command, marker], cwd=tree, env=environ, capture_output=True, text=True, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            return "(time)"
        if ended.returncode in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            continue
        failed = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", ended.stdout, re.MULTILINE)
        if ended.returncode != pytest.ExitCode.TESTS_FAILED or not failed:
            raise ValueError(f"pytest {tests} ended with status {ended.returncode}: {ended.stdout[-2000:]}")
        return failed[1] + remark
    return None


def run_mutant(mutant, tree):
    """Returns: see `first_failure`; the folder `tree` is as it was"""
    path = os.path.join(tree, mutant.path)
    text = broken(mutant, tree)
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return first_failure(mutant.tests, tree)
    finally:
        with open(path, "w", encoding="utf-8") as f:
            f.write(whole)


def copy_commit(root, folder):
    """Unpack the last commit of the repository `root` into a folder. Returns: str, the commit's short name"""
    archive = subprocess.check_output(["git", "-C", root, "archive", "HEAD"])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return subprocess.check_output(["git", "-C", root, "rev-parse", "--short", "HEAD"], text=True).strip()


def read_results(path):
    """Returns: dict of Mutant to what `first_failure` says, of those that were run before"""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return {Mutant(*fields): failure for fields, failure in map(json.loads, f)}


def run_all(mutants, root, results):
    """
    Run what has no result yet, and print the table of all.

    Args:
        mutants (list[Mutant])
        root (str): of the repository
        results (str): a folder, for a file of results of each commit

    Returns:
        int: how many were not caught
    """
    os.makedirs(results, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as tree:
        commit = copy_commit(root, tree)
        path = os.path.join(results, f"{commit}.jsonl")
        known = read_results(path)
        if problems := outdated(mutants, tree):    # said before the work
            raise ValueError("mend the table of mutants:\n" + "\n".join(problems))
        for number, mutant in enumerate(mutants, 1):
            if mutant not in known:
                known[mutant] = run_mutant(mutant, tree)
                with open(path, "a", encoding="utf-8") as f:
                    f.write(json.dumps([mutant, known[mutant]]) + "\n")
            print(f"{number}/{len(mutants)} {mutant.path}: {known[mutant] or 'SURVIVED'}", flush=True)
    rows = [[mutant.path, mutant.after, known[mutant] or "SURVIVED"] for mutant in mutants]
    print(f"\ncommit {commit}\n" + tabulate.tabulate(rows, ["file", "broken line", "caught by"], tablefmt="github"))
    return sum(known[mutant] is None for mutant in mutants)


if __name__ == "__main__":
    num_survived = run_all(MUTANTS, ROOT, RESULTS)
    sys.exit(f"{num_survived} of {len(MUTANTS)} mutants survived" if num_survived else 0)

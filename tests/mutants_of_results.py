"""The same as `mutants_table` has, of what becomes of the network's outputs."""

BREAKS = {
    "inference/keypoints.py": [
        ("CUBIC = -0.75         # coefficient of the cubic kernel: OpenCV's and torch's",
         "CUBIC = -0.5",
         "tests/inference/test_keypoints.py"),
        ("OVERSHOOT = ((1 - CUBIC / 2) ** 2 - 1) / 2",
         "OVERSHOOT = 0",
         "tests/inference/test_keypoints.py"),
        ("points[i, :, 1] = y1 + (rows + 0.5) * (height / math.ceil(height))",
         "points[i, :, 1] = y1 + (rows + 0.5)",
         "tests/inference/test_keypoints.py")],
    "inference/detections.py": [
        ("for number in (round(x - KEYPOINT_SHIFT, 3), round(y - KEYPOINT_SHIFT, 3), round(score, 5))]",
         "for number in (round(x, 3), round(y, 3), round(score, 5))]",
         "tests/inference/test_detect.py"),
        ("own = list(self.skeleton.of_label(label))",
         "own = list(range(scores.shape[1]))",
         "tests/inference/test_detect.py")],
    "viz/detections.py": [
        ("is_drawn = keypoints[:, 2:] >= max(threshold, np.finfo(np.float32).tiny)",
         "is_drawn = keypoints[:, 2:] >= 0",
         "tests/viz/test_detections.py")],
    "metrics/oks.py": [
        ("return (np.exp(-errors) * counts).sum(axis=2) / counts.sum(axis=1)",
         "return np.exp(-errors).mean(axis=2)",
         "tests/metrics/test_oks.py"),
        ("outside = np.maximum(corner - size - found, 0) + np.maximum(found - corner - 2 * size, 0)",
         "outside = np.maximum(corner - found, 0) + np.maximum(found - corner - size, 0)",
         "tests/metrics/test_oks.py")],
    "metrics/coco.py": [
        ("evaluator.params.catIds = list(names)    # also those without objects",
         "pass",
         "tests/metrics/test_oks.py"),
        ("shift = np.array([KEYPOINT_SHIFT, KEYPOINT_SHIFT, 0]) * (keypoints[:, :, 2:] > 0)",
         "shift = 0",
         "tests/metrics/test_oks.py")]}

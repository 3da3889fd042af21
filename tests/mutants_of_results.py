"""The same as `mutants_table` has, of what becomes of the network's outputs."""

BREAKS = {
    "inference/keypoints.py": [
        ("resized = cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)",
         "resized = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)",
         "tests/inference/test_keypoints.py"),
        ("points[i] = box[:2] + (peaks[:, ::-1] + 0.5) * (size / pixels)",
         "points[i] = box[:2] + (peaks[:, ::-1] + 0.5)",
         "tests/inference/test_keypoints.py")],
    "inference/detections.py": [
        ("for number in (round(x - KEYPOINT_SHIFT, 3), round(y - KEYPOINT_SHIFT, 3), round(score, 5))]",
         "for number in (round(x, 3), round(y, 3), round(score, 5))]",
         "tests/inference/test_detect.py"),
        ("own = list(self.skeleton.of_label(label))",
         "own = list(range(scores.shape[1]))",
         "tests/inference/test_detect.py")],
    "inference/tracking.py": [
        ("track.box = track.box + track.velocity",
         "pass",
         "tests/inference/test_tracking.py"),
        ("overlaps[[track.label != label for track in tracks], j] = 0",
         "pass",
         "tests/inference/test_tracking.py"),
        ("return box + BUFFER * np.sqrt(area) * np.array([-1, -1, 1, 1])",
         "return box",
         "tests/inference/test_tracking.py"),
        ("self._tracks = [track for track in self._tracks if track.lost <= self._max_lost]",
         "pass",
         "tests/inference/test_tracking.py")],
    "inference/camera.py": [
        ("number = max(int((now - start) * self.rate), number + 1)",
         "number += 1",
         "tests/inference/test_camera.py")],
    "inference/stages.py": [
        ("boxes = boxes[np.arange(len(best)), best]",
         "boxes = boxes[np.arange(len(best)), 0]",
         "tests/inference/test_stages.py"),
        ("return class_scores[:, 1:].argmax(axis=1) + 1",
         "return class_scores[:, 1:].argmax(axis=1)",
         "tests/inference/test_stages.py")],
    "viz/stages.py": [
        ("before = np.flatnonzero((leaders[:i] == np.arange(i)) & (labels[:i] == labels[i]) & (overlaps[:i, i] > iou))",
         "before = np.flatnonzero((labels[:i] == labels[i]) & (overlaps[:i, i] > iou))",
         "tests/viz/test_stages.py"),
        ("objects = record.select(~(record.is_crowd | record.is_difficult))",
         "objects = record",
         "tests/viz/test_stages.py")],
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

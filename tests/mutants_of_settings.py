"""As `mutants_table`, of other projects' configs."""

TESTS = "tests/settings/dialects"
BREAKS = {
    "settings/dialects/files.py": [
        ("if self.check_event(yaml.AliasEvent):",
         "if False:",
         f"{TESTS}/test_files.py"),
        ("_merge(merged, tree)",
         "merged = {**tree, **merged}",
         f"{TESTS}/test_files.py"),
        ("if real in below or len(below) >= MAX_FILES:",
         "if real in below:",
         f"{TESTS}/test_files.py"),
        ("text = f.read(MAX_BYTES + 1)",
         "text = f.read(MAX_BYTES)",
         f"{TESTS}/test_files.py")],
    "settings/dialects/shared.py": [
        ('theirs.ours["TRAIN.BASE_LR"] = theirs["SOLVER.BASE_LR"] * UPDATE_BATCH / batch',
         'theirs.ours["TRAIN.BASE_LR"] = theirs["SOLVER.BASE_LR"] * batch / UPDATE_BATCH',
         TESTS),
        ("steps = [step for step in drops if step < end] + [end]",
         "steps = [*drops, end]",
         TESTS),
        ('theirs.ours["PREPROC.PIXEL_MEAN"], theirs.ours["PREPROC.PIXEL_STD"] = mean[::-1], std[::-1]',
         'theirs.ours["PREPROC.PIXEL_MEAN"], theirs.ours["PREPROC.PIXEL_STD"] = mean, std',
         TESTS),
        ('theirs.ours.update({"BACKBONE.NORM": norm, "BACKBONE.FREEZE_AFFINE": norm == "FreezeBN"})',
         'theirs.ours.update({"BACKBONE.NORM": norm, "BACKBONE.FREEZE_AFFINE": True})',
         TESTS)],
    "settings/dialects/theirs.py": [
        ("if self[key] not in wanted:",
         "if key in self.said and self[key] not in wanted:",
         f"{TESTS}/test_detectron.py"),
        ("if not is_known(keys, key):",
         "if False:",
         f"{TESTS}/test_translate.py")],
    "settings/dialects/detectron.py": [
        ('ours["MRCNN.CLASS_AGNOSTIC"] = not theirs["MRCNN.CLS_SPECIFIC_MASK"]',
         'ours["MRCNN.CLASS_AGNOSTIC"] = theirs["MRCNN.CLS_SPECIFIC_MASK"]',
         TESTS),
        ('batch = theirs.positive("NUM_GPUS") * theirs.positive("TRAIN.IMS_PER_BATCH")',
         'batch = theirs.positive("TRAIN.IMS_PER_BATCH")',
         TESTS)],
    "settings/dialects/maskrcnn_benchmark.py": [
        ("shared.set_pyramid_proposals(theirs, phase, before, max(both // together, 1))",
         "shared.set_pyramid_proposals(theirs, phase, before, both)",
         TESTS)],
    "settings/dialects/detectron2.py": [
        ('ours["TRAIN.WEIGHT_DECAY_BIAS"] = theirs["SOLVER.WEIGHT_DECAY"] if decay is None else decay',
         'ours["TRAIN.WEIGHT_DECAY_BIAS"] = decay or 0.0',
         TESTS)]}

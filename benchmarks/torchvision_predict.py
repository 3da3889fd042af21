"""
Time torchvision's Mask R-CNN R50-FPN on image files, as `benchmarks.predict` asks for.

    python -m benchmarks.torchvision_predict --batch 1 --rounds 3 IMAGE...    # prints one line of JSON

It runs in an environment of its own (requirements-bench.txt) and imports nothing of this project but `benchmarks`.

An image goes the way that torchvision's evaluation takes it: it is read, becomes a float tensor, passes the model,
which resizes it and pastes its masks into the image; these are thresholded and run-length encoded by pycocotools.
Weights are random; the thresholds of scores and of NMS are such that there are 100 detections in an image, as here.
"""
import argparse
import json
import os
import time

import cv2
import numpy as np
import pycocotools.mask as mask_util

from benchmarks import peak_gib


def build_model(short_edge):
    """Returns: torchvision's model in evaluation, which keeps all of the best 100 boxes"""
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    return maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=81, min_size=short_edge,
                                 box_score_thresh=0.0, box_nms_thresh=1.0, rpn_nms_thresh=1.0).eval()


def predict(model, paths, seconds):
    """
    Read some image files and detect on them as one batch.

    Args:
        seconds (dict): of stage to a list of seconds of an image, which are added to

    Returns:
        int, how many objects were found
    """
    import torch
    start = time.perf_counter()
    images = [cv2.imread(path) for path in paths]
    decoded = time.perf_counter()
    images = [torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1).float() / 255 for image in images]
    with torch.inference_mode():
        results = model(images)
    found = time.perf_counter()
    for result in results:
        masks = (result["masks"][:, 0] > 0.5).numpy()
        mask_util.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    end = time.perf_counter()
    for stage, took in (("decode", decoded - start), ("network", found - decoded), ("encode", end - found),
                        ("all", end - start)):
        seconds.setdefault(stage, []).append(took / len(paths))
    return sum(len(result["scores"]) for result in results)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.torchvision_predict",
        description="Time torchvision's Mask R-CNN R50-FPN on image files; prints one line of JSON.")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--batch", type=int, default=1, help="images that pass the model together")
    parser.add_argument("--rounds", type=int, default=3, help="batches to time, after one to warm up")
    parser.add_argument("--short-edge", type=int, default=800, help="that images are resized to")
    args = parser.parse_args()
    model, seconds = build_model(args.short_edge), {}
    paths = [args.images[i % len(args.images)] for i in range(args.batch * (args.rounds + 1))]
    for i in range(0, len(paths), args.batch):
        if i == args.batch:
            seconds.clear()
        count = predict(model, paths[i:i + args.batch], seconds)
    print(json.dumps(dict(seconds=seconds, detections=count / args.batch, peak_gib=peak_gib())))


if __name__ == "__main__":
    main()

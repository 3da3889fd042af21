"""
Time training steps of torchvision's Mask R-CNN R50-FPN on a batch that `benchmarks.train_step` has written.

    python -m benchmarks.torchvision_step BATCH.npz --steps 5    # prints one line of JSON

It runs in an environment of its own (requirements-bench.txt) and imports nothing of this project but `benchmarks`.

Equal on both sides: the images (torchvision leaves a short edge of 800 as it is and pads 800 x 1067 to 800 x 1088, as
we do), boxes and labels; 81 classes with the background; all convolutions and fully connected layers trained, the
statistics of the norms fixed; residual branches that start at zero, so that both start from features, proposals and
foreground of like size; 256 anchors, half of them foreground, and 512 RoIs, a quarter of them foreground, of an image;
2,000 proposals of a level and of all levels together; float32; SGD with momentum, one update a step; as many threads
as the machine has cores.

Different:
- Ground-truth masks are bitmaps of the whole image there, 112 x 112 samples inside the box here. torchvision resizes
  and pads the bitmaps in each step.
- torchvision's FrozenBatchNorm2d fixes the scale and shift of the norms too, which are trained here. (Called without
  weights, `maskrcnn_resnet50_fpn` takes a BatchNorm2d that trains on the batch, so it is put together by hand here.)
- torchvision's loss has no weight decay term; its optimizer would add it, and has none here.
- torchvision normalizes and resizes in the step (the resizing by a factor of 1); here the graph normalizes.
- torchvision is NCHW and runs op by op; here the graph is NHWC and is optimized before the first step.
- The number of foreground RoIs follows from random initial weights, and each of them costs a pass through the mask
  head. Both sides take them from the same low IoU, so that there are dozens; how many is reported as "masks".
"""
import argparse
import json
import os

import numpy as np

from benchmarks import LEARNING_RATE, MOMENTUM, time_steps


def ellipse_bitmaps(boxes, height, width):
    """
    Args:
        boxes: (G, 4), x1, y1, x2, y2 in pixels

    Returns:
        uint8 (G, height, width), 1 inside the ellipse that touches the sides of each box
    """
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    bitmaps = []
    for x1, y1, x2, y2 in boxes:
        across, down = (x - (x1 + x2) / 2) / (x2 - x1), (y - (y1 + y2) / 2) / (y2 - y1)
        bitmaps.append(across[None] ** 2 + down[:, None] ** 2 <= 0.25)
    return np.array(bitmaps, np.uint8)


def build_model(height, width, num_classes, fg_thresh):
    """
    `maskrcnn_resnet50_fpn` with every layer trained and norms that are fixed.

    Args:
        height, width (int): of the images, which are not resized
        num_classes (int): with the background
        fg_thresh (float): IoU from which an RoI is foreground
    """
    from torch import nn
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.resnet import Bottleneck
    # its norms are FrozenBatchNorm2d by default
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=5)
    for module in backbone.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
    return MaskRCNN(backbone, num_classes=num_classes, min_size=min(height, width), max_size=max(height, width, 1333),
                    box_fg_iou_thresh=fg_thresh, box_bg_iou_thresh=fg_thresh)


def measure(batch, num_classes, fg_thresh, steps):
    """
    Args:
        batch (dict): images, uint8 (B, H, W, 3), BGR; gt_boxes, float32 (B, G, 4); gt_labels, int (B, G), 1..
        num_classes (int): with the background
        fg_thresh (float): IoU from which an RoI is foreground
        steps (int): to time

    Returns:
        dict, see `benchmarks.time_steps`
    """
    import torch
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    height, width = batch["images"].shape[1:3]
    model = build_model(height, width, num_classes, fg_thresh).train()
    images = [torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1).float() / 255 for image in batch["images"]]
    targets = [dict(boxes=torch.from_numpy(boxes), labels=torch.from_numpy(labels).long(),
                    masks=torch.from_numpy(ellipse_bitmaps(boxes, height, width)))
               for boxes, labels in zip(batch["gt_boxes"], batch["gt_labels"])]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE, momentum=MOMENTUM)
    num_masks = []
    model.roi_heads.mask_head.register_forward_hook(lambda module, args, output: num_masks.append(len(output)))

    def step():
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item(), num_masks[-1]

    return time_steps(step, steps)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.torchvision_step",
        description="Time training steps of torchvision's Mask R-CNN R50-FPN; prints one line of JSON.")
    parser.add_argument("batch", metavar="BATCH.npz", help="images, gt_boxes and gt_labels")
    parser.add_argument("--classes", type=int, default=80, help="without the background")
    parser.add_argument("--fg-thresh", type=float, default=0.5, help="IoU from which an RoI is foreground")
    parser.add_argument("--steps", type=int, default=5, help="to time, after the warm-up")
    args = parser.parse_args()
    with np.load(args.batch) as batch:
        print(json.dumps(measure(dict(batch), args.classes + 1, args.fg_thresh, args.steps)))


if __name__ == "__main__":
    main()

"""State dicts in the names and layouts of torchvision's ImageNet models, narrow and drawn at random."""
import functools

import numpy as np


def resnet_state(blocks, groups=1, inner=8, width=8):
    """The state dict of a ResNet for ImageNet, of `width` channels in its stem, in torchvision's layout."""
    def conv(name, outputs, inputs, kernel):
        return {f"{name}.weight": (outputs, inputs, kernel, kernel)}

    def norm(name, channels):
        return {f"{name}.{key}": (channels,) for key in ("weight", "bias", "running_mean", "running_var")}

    shapes, inputs = {**conv("conv1", width, 3, 7), **norm("bn1", width)}, width
    for stage, count in enumerate(blocks):
        middle, outputs = inner * 2 ** stage, 4 * width * 2 ** stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            shapes.update({**conv(f"{name}.conv1", middle, inputs, 1), **norm(f"{name}.bn1", middle),
                           **conv(f"{name}.conv2", middle, middle // groups, 3), **norm(f"{name}.bn2", middle),
                           **conv(f"{name}.conv3", outputs, middle, 1), **norm(f"{name}.bn3", outputs)})
            if block == 0:
                shapes.update({**conv(f"{name}.downsample.0", outputs, inputs, 1),
                               **norm(f"{name}.downsample.1", outputs)})
            inputs = outputs
    return random_arrays({**shapes, "fc.weight": (10, inputs), "fc.bias": (10,)})


def random_arrays(shapes):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


VGG16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
OTHER_VGGS = {
    "vgg11": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg13": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]}


def vgg_state(plan, norm=False, width=8):
    """The state dict of a VGG for ImageNet, of `width` in place of 64 channels: convolutions and "M", poolings."""
    shapes, inputs, place = {}, 3, 0
    for step in plan:
        if step == "M":
            place += 1
            continue
        outputs = step * width // 64
        shapes.update({f"features.{place}.weight": (outputs, inputs, 3, 3), f"features.{place}.bias": (outputs,)})
        if norm:
            shapes.update({f"features.{place + 1}.{key}": (outputs,) for key in ("weight", "bias", "running_mean")})
        inputs, place = outputs, place + (3 if norm else 2)    # a ReLU follows
    for layer, shape in {0: (64 * width, 49 * inputs), 3: (64 * width, 64 * width), 6: (10, 64 * width)}.items():
        shapes.update({f"classifier.{layer}.weight": shape, f"classifier.{layer}.bias": shape[:1]})
    return random_arrays(shapes)


# words of a narrow network's config, and what makes its state dict
BACKBONES = {
    "resnet101": ("BACKBONE.RESNET_NUM_BLOCKS=(3,4,23,3)", functools.partial(resnet_state, (3, 4, 23, 3))),
    "resnet152": ("BACKBONE.RESNET_NUM_BLOCKS=(3,8,36,3)", functools.partial(resnet_state, (3, 8, 36, 3))),
    "resnext50_32x4d": (
        "BACKBONE.RESNET_NUM_BLOCKS=(3,4,6,3) BACKBONE.WIDTH=16 BACKBONE.RESNEXT_GROUPS=32 BACKBONE.RESNEXT_WIDTH=4",
        functools.partial(resnet_state, (3, 4, 6, 3), groups=32, inner=32, width=16)),
    "resnext101_32x8d": (
        "BACKBONE.RESNET_NUM_BLOCKS=(3,4,23,3) BACKBONE.RESNEXT_GROUPS=32 BACKBONE.RESNEXT_WIDTH=8",
        functools.partial(resnet_state, (3, 4, 23, 3), groups=32, inner=32)),
    "resnext101_64x4d": (
        "BACKBONE.RESNET_NUM_BLOCKS=(3,4,23,3) BACKBONE.WIDTH=16 BACKBONE.RESNEXT_GROUPS=64 BACKBONE.RESNEXT_WIDTH=4",
        functools.partial(resnet_state, (3, 4, 23, 3), groups=64, inner=64, width=16)),
    "vgg16": ("BACKBONE.NAME=VGG16", functools.partial(vgg_state, VGG16))}

"""Feature Pyramid Network (Lin et al. 2017)."""
import tensorflow as tf
from tensorpack import tfv1

from modeling.layers import GroupNorm, conv_with_norm


def fpn(features, channels, norm, padding, p2_only=False):
    """
    Args:
        features (list): C2..C5 of the backbone, (B, H / s, W / s, C) with s = 4, 8, 16, 32
        channels (int): of every level
        norm (str): "None", "GN", or "SyncBN" or "FreezeBN" as of `layers.conv_with_norm`
        padding (Padding): where the images end
        p2_only (bool): leave out the last convolutions of the other levels

    Returns:
        list: P2..P6, (B, H / s, W / s, channels) with s = 4, 8, 16, 32, 64; or P2 alone
    """
    def conv(name, x, kernel):
        initializer = tfv1.variance_scaling_initializer(scale=1.0)
        # with GN the convolution keeps its bias, as in the zoo
        return conv_with_norm(name, x, channels, kernel, "None" if norm == "GN" else norm, initializer)

    def maybe_norm(name, x, stride):
        return GroupNorm(name, padding.zero(x, stride), num_pixels=padding.num_pixels(stride)) if norm == "GN" else x

    with tfv1.variable_scope("fpn"):
        top_down = []
        for level, c in reversed(list(enumerate(features, start=2))):
            lateral = maybe_norm(f"gn_c{level}", conv(f"lateral_1x1_c{level}", c, 1), 2 ** level)
            top_down.insert(0, lateral + _upsample(top_down[0]) if top_down else lateral)
        pyramid = [maybe_norm(f"gn_p{level}", conv(f"posthoc_3x3_p{level}", padding.zero(x, 2 ** level), 3), 2 ** level)
                   for level, x in enumerate(top_down[:1] if p2_only else top_down, start=2)]
        return pyramid if p2_only else pyramid + [pyramid[-1][:, ::2, ::2]]


def _upsample(x):
    """(B, H, W, C) to (B, 2 H, 2 W, C), each pixel four times"""
    shape = tf.shape(x)
    return tf.image.resize(x, [shape[1] * 2, shape[2] * 2], method="nearest")

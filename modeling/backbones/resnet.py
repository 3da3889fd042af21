"""
ResNet with bottleneck blocks (He et al. 2016), with the variable names of tensorpack's model zoo; and ResNeXt (Xie et
al. 2017), in which the 3x3 convolutions have groups of channels.
"""
import functools

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import Conv2D
from tensorpack.tfutils.tower import get_current_tower_context

from modeling.backbones.fixed import fixed_variables
from modeling.layers import FixedNormConv2D, GroupedConv2D, normalize


class ResNet:
    """
    The stages of a ResNet, to be called in order.

    Args:
        num_blocks: bottlenecks of each of the four stages
        norm (str): "FreezeBN" (fixed statistics), or see `layers.normalize`
        width (int): channels of the stem; stage i has width * 4 * 2**i
        freeze_at (int): 0: every layer is trained; 1: the stem is fixed; 2: and the first stage
        freeze_affine (bool): gamma and beta of the norms are fixed
        stride_1x1 (bool): a bottleneck strides in its first 1x1 convolution instead of in its 3x3
        tf_pad_mode (bool): pad strided convolutions more at the right and bottom, as TensorFlow's "SAME" does
        padding (Padding): where the images end
        norm_epsilon (float): added to variances that are fixed
        groups (int): of the 3x3 convolutions
        inner_width (int): channels of the 3x3 convolutions of the first stage, in all groups together; `width` without
    """

    def __init__(  # noqa: PLR0913  (what a ResNet has)
            self, num_blocks, norm, width, freeze_at, freeze_affine, stride_1x1, tf_pad_mode, padding,
            norm_epsilon=1e-5, groups=1, inner_width=None):
        self.num_blocks = num_blocks
        self.norm = norm
        self.width = width
        self.freeze_at = freeze_at
        self.freeze_affine = freeze_affine
        self.stride_1x1 = stride_1x1
        self.tf_pad_mode = tf_pad_mode
        self.padding = padding
        self.norm_epsilon = norm_epsilon
        self.groups = groups
        self.inner_width = inner_width or width

    def levels(self, images, num_stages):
        """
        Args:
            images: (B, H, W, 3)
            num_stages (int): 1..4

        Returns:
            list: C2.. of each stage, (B, H / s, W / s, width * 4 * 2**i) with s = 4, 8, 16, 32
        """
        features = [self.stem(images)]
        for index in range(num_stages):
            features.append(self.stage(features[-1], index, stride=1 if index == 0 else 2))
        return features[1:]

    def stem(self, images):
        """(B, H, W, 3) to (B, H // 4, W // 4, width)"""
        is_frozen = self.freeze_at > 0
        with self._variables(is_frozen):
            x = self._conv("conv0", tf.pad(images, self._paddings(2, 3)), self.width, 7, 2, 2, self._norm(is_frozen),
                           padding="valid")
            # what is padded with cannot win over values that are not negative
            return tf.nn.max_pool2d(self.padding.zero(tf.nn.relu(x), 2), 3, 2, self._paddings(0, 1), name="pool0")

    def stage(self, x, index, stride):
        """
        Args:
            x: (B, H, W, C)
            index (int): 0..3, for conv2 to conv5 of the paper
            stride (int): 1 or 2, what the first block strides by

        Returns:
            (B, H // stride, W // stride, width * 4 * 2**index)
        """
        input_stride = 4 if index == 0 else 2 ** (index + 1)
        is_frozen = self.freeze_at > index + 1
        with self._variables(is_frozen), tfv1.variable_scope(f"group{index}", reuse=tfv1.AUTO_REUSE):
            for block in range(self.num_blocks[index]):
                with tfv1.variable_scope(f"block{block}"):
                    x = self._bottleneck(x, index, stride if block == 0 else 1,
                                         input_stride if block == 0 else input_stride * stride, self._norm(is_frozen))
        return x

    def _norm(self, is_frozen):
        # fixed layers take no statistics from the batch
        return "FreezeBN" if is_frozen and self.norm == "SyncBN" else self.norm

    def _bottleneck(self, x, index, stride, input_stride, norm):
        channels, inner = self.width * 4 * 2 ** index, self.inner_width * 2 ** index
        first_stride, second_stride = (stride, 1) if self.stride_1x1 else (1, stride)
        inner_stride, output_stride = input_stride * first_stride, input_stride * stride
        shortcut = self.padding.drop_odd(x) if stride == 2 else x
        x = self._conv("conv1", shortcut if first_stride == 2 else x, inner, 1, first_stride, inner_stride, norm)
        x = self.padding.zero(tf.nn.relu(x), inner_stride)
        if second_stride == 2:
            x = self._conv("conv2", tf.pad(x, self._paddings(0, 1)), inner, 3, 2, output_stride, norm,
                           padding="valid", groups=self.groups)
        else:
            x = self._conv("conv2", x, inner, 3, 1, output_stride, norm, groups=self.groups)
        x = self._conv("conv3", tf.nn.relu(x), channels, 1, 1, output_stride, norm, ends_branch=True)
        if shortcut.shape[-1] != channels:
            shortcut = self._conv("convshortcut", shortcut, channels, 1, stride, output_stride, norm)
        return tf.nn.relu(x + shortcut, name="output")

    def _conv(  # noqa: PLR0913  (what a convolution has, and where it stands)
            self, name, x, channels, kernel, stride, output_stride, norm, padding="same", ends_branch=False, groups=1):
        """
        A convolution with its norm. The last of a residual branch starts at zero, so that the block starts as identity.

        Args:
            stride (int): of the convolution
            output_stride (int): of its feature map, in pixels of the image
        """
        if ends_branch and norm == "None":
            initializer = tfv1.zeros_initializer()
        else:
            initializer = tfv1.variance_scaling_initializer(
                scale=2.0, mode="fan_out", distribution="untruncated_normal")
        has_fixed_norm = norm == "FreezeBN" or norm == "SyncBN" and not get_current_tower_context().is_training
        if has_fixed_norm:
            gamma_initializer = tfv1.zeros_initializer() if ends_branch else tfv1.ones_initializer()
            return FixedNormConv2D(name, x, channels, kernel, stride, padding, initializer, gamma_initializer,
                                   self.norm_epsilon, groups)
        layer = functools.partial(GroupedConv2D, groups=groups) if groups > 1 else Conv2D
        return layer(name, x, channels, kernel, strides=stride, padding=padding, use_bias=norm == "None",
                     kernel_initializer=initializer,
                     activation=lambda y: normalize(y, norm, ends_branch, self.padding, output_stride))

    def _paddings(self, before, after):
        if not self.tf_pad_mode:
            before, after = after, before
        return [[0, 0], [before, after], [before, after], [0, 0]]

    def _variables(self, is_frozen):
        """Returns: a context in which all new layers are fixed, or the variables of their norms, or none"""
        return fixed_variables(("",) if is_frozen else ("/gamma", "/beta") if self.freeze_affine else ())

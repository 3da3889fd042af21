"""VGG16 (Simonyan & Zisserman 2015) up to conv5_3: 13 convolutions with biases and ReLU, without the last pooling."""
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import Conv2D

from modeling.backbones.fixed import fixed_variables

NUM_CONVS = (2, 2, 3, 3, 3)    # of conv1 to conv5; a pooling halves the map before each but the first


class VGG16:
    """
    Args:
        width (int): channels of conv1; conv2 to conv5 have 2, 4, 8 and 8 times as many
        freeze_at (int): 0: every layer is trained; 1: conv1 is fixed; 2: and conv2
        padding (Padding): where the images end
    """

    def __init__(self, width, freeze_at, padding):
        self.width = width
        self.freeze_at = freeze_at
        self.padding = padding

    def features(self, images):
        """Args: images (B, H, W, 3). Returns: (B, H // 16, W // 16, 8 * width), of conv5_3"""
        x = images
        for index in range(len(NUM_CONVS)):
            x = self.stage(x, index)
        return x

    def stage(self, x, index):
        """
        Args:
            x: (B, H, W, C)
            index (int): 0..4, for conv1 to conv5

        Returns:
            (B, H // 2, W // 2, width * min(2**index, 8)); of conv1 (B, H, W, width)
        """
        if index > 0:
            # an odd last row or column is dropped, so nothing beyond an image comes into it
            x = tf.nn.max_pool2d(x, 2, 2, "VALID", name=f"pool{index}")
        with fixed_variables(("",) if index < self.freeze_at else ()):
            return self._convs(x, index)

    def _convs(self, x, index):
        initializer = tfv1.variance_scaling_initializer(scale=2.0, mode="fan_out", distribution="untruncated_normal")
        for number in range(1, NUM_CONVS[index] + 1):
            x = self.padding.zero(x, 2 ** index)
            x = Conv2D(f"conv{index + 1}_{number}", x, self.width * min(2 ** index, 8), 3, activation=tf.nn.relu,
                       kernel_initializer=initializer)
        return x

"""Where the images of a padded batch end. With it, an image gives the same features alone and in any batch."""
import tensorflow as tf

SMALLEST = 16    # pixels: no feature map of C4, of stride 16, is empty


def round_up(sizes, multiple):
    """
    Args:
        sizes: int32 (..., 2), heights and widths of images
        multiple (int)

    Returns:
        int32 (..., 2), the next multiples, and no less than SMALLEST
    """
    return -(-tf.maximum(sizes, SMALLEST) // multiple) * multiple


class Padding:
    """
    The region of each image in a batch: its own size, rounded up to a multiple that the network asks for.

    A pyramid asks for the stride of C5, so that every map is half as large as the one before. A single feature map asks
    for nothing: its layers drop an odd last row or column.

    A convolution reads zeros beyond the border of a feature map. `zero` makes it read zeros beyond the border of each
    image too, where the layers before have left other values.

    Attributes:
        batch_shape: int32 (2,), height and width of the whole batch
        sizes: int32 (B, 2), height and width of each image's region in pixels
    """

    def __init__(self, image_sizes, batch_shape, multiple):
        """
        Args:
            image_sizes: int32 (B, 2), true heights and widths
            batch_shape: int32 (2,), height and width of the whole batch, which `round_up` leaves as they are
            multiple (int): see `round_up`
        """
        self.batch_shape = batch_shape
        self.sizes = round_up(image_sizes, multiple)
        self._drops_odd = multiple == 1
        # boxes of an image whose last row or column was dropped reach a pixel further
        self._border_after = 2 if self._drops_odd else 1
        self._trivial = image_sizes.shape[0] == 1
        self._needed = tf.reduce_any(tf.not_equal(self.sizes, batch_shape[None]))

    def region(self, stride):
        """Returns: int32 (B, 2), height and width of each image's region on the feature map of a stride"""
        # P6 keeps an odd last row of P5
        return self.sizes // stride if self._drops_odd else -(-self.sizes // stride)

    def num_pixels(self, stride):
        """Returns: int32 (B,), pixels of each image's region on the feature map of a stride"""
        return tf.reduce_prod(self.region(stride), axis=1)

    def inside(self, stride, height, width):
        """Returns: bool (B, height, width), True inside the image's region on the feature map of a stride"""
        region = self.region(stride)
        rows = tf.range(height)[None] < region[:, :1]
        columns = tf.range(width)[None] < region[:, 1:]
        return rows[:, :, None] & columns[:, None, :]

    def zero(self, features, stride):
        """
        Args:
            features: (B, H, W, C)
            stride (int): of the feature map

        Returns:
            (B, H, W, C), zero beyond each image's region
        """
        if self._trivial:
            return features

        def masked():
            shape = tf.shape(features)
            return features * tf.cast(self.inside(stride, shape[1], shape[2])[..., None], features.dtype)

        masked_features = tf.cond(self._needed, masked, lambda: tf.identity(features))
        masked_features.set_shape(features.shape)
        return masked_features

    def drop_odd(self, features):
        """Returns: features without what a 1x1 convolution of stride 2 would read of an odd last row and column"""
        return features[:, :-1, :-1] if self._drops_odd else features

    def repeat_border(self, features, stride):
        """
        Args:
            features: (B, H, W, C)
            stride (int): of the feature map

        Returns:
            (B, H + 2, W + 2, C), or (B, H + 3, W + 3, C): a border is added, of one pixel at the top and left and one
            or two at the bottom and right, which, like all beyond the image's region, repeats the nearest pixel inside
        """
        after = self._border_after

        def plain():
            bordered = tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
            if after == 1:
                return bordered
            # a border of two pixels would not repeat the outermost, but mirror two
            return tf.pad(bordered, [[0, 0], [0, 1], [0, 1], [0, 0]], mode="SYMMETRIC")

        if self._trivial:
            return plain()

        def per_image():
            last = self.region(stride) - 1
            shape = tf.shape(features)
            rows = tf.minimum(tf.maximum(tf.range(-1, shape[1] + after), 0)[None], last[:, :1])
            columns = tf.minimum(tf.maximum(tf.range(-1, shape[2] + after), 0)[None], last[:, 1:])
            return tf.gather(tf.gather(features, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)

        bordered = tf.cond(self._needed, per_image, plain)
        bordered.set_shape([features.shape[0], None, None, features.shape[3]])
        return bordered

    def border_ends(self, stride):
        """Returns: int32 (B, 2), last row and column of each image's border in what `repeat_border` returns"""
        return self.region(stride) + self._border_after


class NoPadding:
    """The `Padding` of features of even size that end where their tensor ends, such as those of RoIs."""

    def num_pixels(self, stride):
        return None

    def zero(self, features, stride):
        return features

    def drop_odd(self, features):
        return features

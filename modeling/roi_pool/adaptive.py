"""RoIAlign with as many samples as each box asks for, Detectron's and Detectron2's default."""
import tensorflow as tf
from tensorpack import tfv1

from modeling.roi_pool.grid import crop_bins

LARGEST_CROP = 2 ** 25    # values that are sampled at a time


def pool_as_asked(features, boxes, image_index, size, ends=None):
    """
    RoIAlign with ceil(height / size) x ceil(width / size) samples a bin, at least one. Boxes that ask for the same
    numbers are pooled together, so many at a time as memory allows.

    Args:
        features, boxes, image_index, ends: see `grid.crop_bins`
        size (int): bins in each direction

    Returns:
        (R, size, size, C)
    """
    counts = tf.cast(tf.maximum(tf.math.ceil((boxes[:, 3:1:-1] - boxes[:, 1::-1]) / size), 1.0), tf.int32)
    kind = counts[:, 0] * (tf.reduce_max(counts[:, 1]) + 1) + counts[:, 1]
    order = tf.argsort(kind)
    counts, kind, boxes, image_index = (tf.gather(x, order) for x in (counts, kind, boxes, image_index))
    channels, num_rois = features.shape[-1], tf.size(order)

    def pool_some(start, index, pooled):
        asked = counts[start]
        most = tf.maximum(LARGEST_CROP // (size * size * channels * tf.reduce_prod(asked)), 1)
        alike = tf.reduce_sum(tf.cast(tf.equal(kind[start:], kind[start]), tf.int32))
        end = start + tf.minimum(alike, most)
        crops = crop_bins(features, boxes[start:end], image_index[start:end], asked * size, ends)
        return end, index + 1, pooled.write(index, _means(crops, asked, size))

    pooled = tf.TensorArray(features.dtype, 0, dynamic_size=True, infer_shape=False,
                            element_shape=[None, size, size, channels])
    pooled = tfv1.while_loop(lambda start, *_: start < num_rois, pool_some, (0, 0, pooled), parallel_iterations=1)[2]
    return tf.gather(tf.ensure_shape(pooled.concat(), [None, size, size, channels]),
                     tf.math.invert_permutation(order))


def _means(crops, asked, size):
    """Args: crops (R, size * h, size * w, C); asked (2,), h and w. Returns: (R, size, size, C), means of h x w"""
    channels = crops.shape[-1]
    rows = tf.reduce_mean(tf.reshape(crops, [-1, asked[0], size * asked[1] * channels]), axis=1)
    return tf.reshape(tf.reduce_mean(tf.reshape(rows, [-1, asked[1], channels]), axis=1), [-1, size, size, channels])

"""
The keypoint head (He et al. 2017, sec. 5): a map of each keypoint over each RoI, trained as a choice of one place.

K is the number of keypoints, S the size of the maps in each direction, 56.
"""
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import layer_register
from tensorpack.tfutils.summary import add_moving_summary

from modeling.layers import head_conv
from modeling.losses import image_shares, mean_over

ROI_SIZE, MAP_SIZE = 14, 56


def keypoint_head(features, num_convs, dim, num_keypoints, norm):
    """
    Args:
        features: (R, 14, 14, C)
        num_convs (int): hidden layers
        dim (int): channels of each
        num_keypoints (int)
        norm (HeadNorm)

    Returns:
        float32 logits (R, S, S, K)
    """
    with tfv1.variable_scope("keypointrcnn"):
        x = features
        for i in range(1, num_convs + 1):
            x = head_conv(f"conv{i}", x, dim, norm, f"gn{i}")
        return upsample(tf.cast(DoublingConv2D("deconv", x, num_keypoints), tf.float32))


@layer_register(log_shape=False)
def DoublingConv2D(x, filters):
    """
    A transposed convolution with a kernel of 4 x 4 and stride 2, which doubles the resolution. Each pixel of the result
    sees 2 x 2 pixels of x, so it is a 3 x 3 convolution to four times the channels, laid out as 2 x 2 pixels. Its
    variables are those of Conv2DTranspose.

    Args:
        x: (R, h, w, C)
        filters (int): D

    Returns:
        (R, 2 h, 2 w, D)
    """
    height, width, channels = x.shape[1:]
    initializer = tfv1.variance_scaling_initializer(scale=2.0, mode="fan_out", distribution="untruncated_normal")
    kernel = tfv1.get_variable("W", [4, 4, filters, channels], x.dtype, initializer=initializer)
    bias = tfv1.get_variable("b", [filters], x.dtype, initializer=tfv1.zeros_initializer())
    taps = tf.constant([[3, 1, 4], [4, 2, 0]])    # of an even and an odd pixel, at -1, 0 and 1 in x; 4: none
    kernel = tf.pad(kernel, [[0, 1], [0, 1], [0, 0], [0, 0]])
    kernel = tf.gather(tf.gather(kernel, taps, axis=0), taps, axis=2)       # (2, 3, 2, 3, D, C)
    kernel = tf.reshape(tf.transpose(kernel, [1, 3, 5, 0, 2, 4]), [3, 3, channels, 4 * filters])
    y = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.tile(bias, [4]))
    y = tf.transpose(tf.reshape(y, [-1, height, width, 2, 2, filters]), [0, 1, 3, 2, 4, 5])
    return tf.reshape(y, [-1, 2 * height, 2 * width, filters])


def upsample(logits):
    """Bilinear, with pixels at their centres. Args: (R, h, w, K). Returns: (R, 2 h, 2 w, K)"""
    height, width = logits.shape[1:3]
    return tf.image.resize(logits, [2 * height, 2 * width])


def rois_with_keypoints(rois, gt):
    """
    Args:
        rois (RoIs)
        gt (GroundTruth)

    Returns:
        RoIs, the foreground with a labelled keypoint of its object inside
    """
    rois = rois.select(rois.foreground())
    _, valid = keypoint_targets(rois.boxes, gt.keypoints_at(rois.gt_index))
    return rois.select(tf.reshape(tf.where(tf.reduce_any(valid, axis=1)), [-1]))


def keypoint_targets(boxes, keypoints):
    """
    The places of keypoints in the maps of RoIs.

    Args:
        boxes: (R, 4), the RoIs
        keypoints: (R, K, 3) x, y and whether it is labelled, in the pixels of the boxes

    Returns:
        int32 (R, K): row * S + column, where keypoints on the right and lower edges belong to the last places; and
        bool (R, K): labelled and inside the RoI. The others have place 0.
    """
    low, high, points = boxes[:, None, :2], boxes[:, None, 2:], keypoints[..., :2]
    valid = (keypoints[..., 2] > 0) & tf.reduce_all((points >= low) & (points <= high), axis=2)
    cells = tf.math.divide_no_nan((points - low) * MAP_SIZE, high - low)
    places = tf.cast(tf.minimum(tf.floor(cells), MAP_SIZE - 1), tf.int32)
    return tf.where(valid, places[..., 1] * MAP_SIZE + places[..., 0], 0), valid


def keypoint_loss(logits, rois, gt, max_rois=None):
    """
    Softmax cross entropy over the places of a map. Like the other losses it is the mean over images.

    Args:
        logits: (R, S, S, K)
        rois (RoIs): of `rois_with_keypoints`
        gt (GroundTruth)
        max_rois (float): of an image, so that its sum is divided by the keypoints of so many RoIs; without it, by the
            number of keypoints that are valid

    Returns:
        scalar, 0 without any keypoints
    """
    num_images, num_keypoints = tf.shape(gt.boxes)[0], logits.shape[-1]
    places, valid = keypoint_targets(rois.boxes, gt.keypoints_at(rois.gt_index))
    index = tf.where(valid)
    maps = tf.reshape(tf.transpose(logits, [0, 3, 1, 2]), [-1, num_keypoints, MAP_SIZE ** 2])
    maps, places = tf.gather_nd(maps, index), tf.gather_nd(places, index)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=places, logits=maps)
    if max_rois is None:
        shares = image_shares(tf.gather(rois.image_index, index[:, 0]), num_images)
    else:
        shares = 1.0 / (max_rois * num_keypoints * tf.cast(num_images, tf.float32))
    with tf.name_scope("keypointrcnn_metrics"):
        found = tf.argmax(maps, axis=1, output_type=tf.int32)
        steps = tf.maximum(tf.abs(found // MAP_SIZE - places // MAP_SIZE), tf.abs(found % MAP_SIZE - places % MAP_SIZE))
        is_near = tf.cast(steps <= 2, tf.float32)
        add_moving_summary(tf.identity(mean_over(is_near, tf.size(is_near)), name="accuracy"))
    return tf.reduce_sum(cross_entropy * shares)

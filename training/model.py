"""The network as tensorpack trains it: its inputs, the cost, and the optimizer."""
import tensorflow as tf
from tensorpack import ModelDesc, tfv1
from tensorpack.models import l2_regularizer, regularize_cost
from tensorpack.tfutils import optimizer
from tensorpack.tfutils.gradproc import GlobalNormClip, ScaleGradient
from tensorpack.tfutils.summary import add_moving_summary

from data import batch
from modeling.generalized_rcnn import GeneralizedRCNN
from modeling.mask_head import unpack_masks
from modeling.structures import GroundTruth
from training import cpu_gradients
from training.optimizers import AccumulatedOptimizer, LossScaledOptimizer
from training.schedule import accumulated_steps


class TrainingModel(ModelDesc):
    """
    A tensorpack model of `GeneralizedRCNN`, which is fed with a `data.batch.Batch`. What does not train detects.

    Args:
        cfg (AttrDict): a finalized config
    """

    def __init__(self, cfg):
        self.cfg = cfg
        self.network = GeneralizedRCNN(cfg)

        self._fields = batch.trained_specs(cfg)

    def inputs(self):
        """Returns: list[tf.TensorSpec], the fields of a Batch"""
        return [tf.TensorSpec(spec.shape, tf.as_dtype(spec.dtype), spec.name) for spec in self._fields]

    def loss_names(self):
        """Returns: list[str], names of the scalar losses of a training tower; the last is their sum"""
        return [*self.network.loss_names(), "wd_cost", "total_cost"]

    def build_graph(self, *tensors):
        """Returns: scalar, the sum of the losses, in the graph as `loss_names`; None where nothing is trained"""
        fields = batch.read_batch(tensors, self._fields)
        if not self.training:
            self.network.detect(fields.images, fields.image_sizes)
            return None
        for tensor in tensors:
            tensor.set_shape([self.cfg.TRAIN.IMS_PER_GPU, *tensor.shape[1:]])
        masks = unpack_masks(fields.gt_masks, self.cfg.MRCNN.GT_RESOLUTION) if self.cfg.MODE_MASK else None
        with cpu_gradients.convolutions():
            losses = self.network.losses(fields.images, fields.image_sizes, fields.seeds,
                                         GroundTruth(fields.gt_boxes, fields.gt_labels, masks, fields.gt_keypoints))
        weight_decay = _weight_decay(self.cfg.TRAIN.WEIGHT_DECAY, self.cfg.TRAIN.WEIGHT_DECAY_BIAS)
        costs = [tf.identity(losses[name], name=name) for name in self.network.loss_names()] + [weight_decay]
        total_cost = tf.add_n(costs, name="total_cost")
        add_moving_summary(*costs, total_cost)
        return total_cost

    def optimizer(self):
        """Momentum SGD on the mean over the images of a step times the accumulated steps."""
        cfg = self.cfg.TRAIN
        rate = tfv1.get_variable("learning_rate", initializer=cfg.WARMUP_INIT_LR, trainable=False)
        # tensorpack takes the suffix off; without it the name is the variable's
        tfv1.summary.scalar("learning_rate-summary", rate)
        steps = accumulated_steps(cfg)
        # gradients of accumulated steps are summed, here made a mean
        opt = tfv1.train.MomentumOptimizer(rate / steps, cfg.MOMENTUM)
        if cfg.BIAS_LR_FACTOR != 1:
            opt = optimizer.apply_grad_processors(opt, [ScaleGradient((".*/b", cfg.BIAS_LR_FACTOR), verbose=False)])
        if cfg.GRADIENT_CLIP > 0:
            opt = optimizer.apply_grad_processors(opt, [GlobalNormClip(cfg.GRADIENT_CLIP * steps)])
        opt = AccumulatedOptimizer(opt, steps) if steps > 1 else opt
        return LossScaledOptimizer(opt) if cfg.PRECISION == "float16" else opt


def _weight_decay(of_kernels, of_biases):
    """Returns: scalar, the decay of the trained kernels and biases, in the graph as wd_cost"""
    if of_biases == 0:
        return regularize_cost(".*/W", l2_regularizer(of_kernels), name="wd_cost")
    return tf.add(regularize_cost(".*/W", l2_regularizer(of_kernels), name="wd_kernels"),
                  regularize_cost(".*/b$", l2_regularizer(of_biases), name="wd_biases"), name="wd_cost")

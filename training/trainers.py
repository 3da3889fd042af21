"""tensorpack's trainers, as this project uses them."""
import common
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.train import HorovodTrainer as TensorpackHorovodTrainer
from tensorpack.train import SimpleTrainer, SingleCostTrainer, SyncMultiGPUTrainerReplicated

import distributed


class HorovodTrainer(TensorpackHorovodTrainer):
    """
    One tower in each rank, whose gradients are averaged over all ranks. tensorpack's own fails on TensorFlow 2.

    Args:
        compression (str): "none", or "fp16" to send gradients as half as many bytes
    """

    def __init__(self, compression):
        hvd = distributed.job().hvd
        super().__init__(compression=getattr(hvd.Compression, compression))

    def initialize(self, session_creator, session_init):
        job = distributed.job()
        broadcast = tf.group(*[
            variable.assign(job.hvd.broadcast(variable.read_value(), 0)) for variable in tfv1.global_variables()])
        self._num_global_variables, self._broadcast_op = len(tfv1.global_variables()), broadcast
        # not tensorpack's, which calls what TensorFlow 2 lacks
        SingleCostTrainer.initialize(self, session_creator, session_init)
        self.sess.run(broadcast)


def make_trainer(trainer, num_gpus, compression):
    """
    Args:
        trainer (str): "horovod", or "replicated" for this process alone
        num_gpus (int): towers; 0 for one on the CPU
        compression (str): see `HorovodTrainer`

    Returns:
        tensorpack.train.Trainer
    """
    if trainer == "horovod":
        return HorovodTrainer(compression)
    return SyncMultiGPUTrainerReplicated(num_gpus) if num_gpus > 1 else SimpleTrainer()

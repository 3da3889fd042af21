"""tensorpack's trainers, as this project uses them, and the devices that they take."""
from common import UserError, visible_gpus

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.train import (
    HorovodTrainer as TensorpackHorovodTrainer,
    SimpleTrainer,
    SingleCostTrainer,
    SyncMultiGPUTrainerReplicated,
)

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


def make_trainer(cfg):
    """
    Args:
        cfg (AttrDict): TRAINER is "horovod", or "replicated" for this process alone; TRAIN.NUM_GPUS of `num_gpus`

    Returns:
        tensorpack.train.Trainer
    """
    if cfg.TRAINER == "horovod":
        return HorovodTrainer(cfg.TRAIN.COMPRESSION)
    return SyncMultiGPUTrainerReplicated(cfg.TRAIN.NUM_GPUS) if cfg.TRAIN.NUM_GPUS > 1 else SimpleTrainer()


def num_gpus(cfg):
    """
    Args:
        cfg (AttrDict): TRAINER and TRAIN.NUM_GPUS

    Returns:
        int, GPUs to train on, of all ranks, or 0 for the CPU alone; a rank counts as one also on a CPU

    Raises:
        UserError: these are not there
    """
    wanted, visible = cfg.TRAIN.NUM_GPUS, visible_gpus()
    if cfg.TRAINER == "horovod":
        if wanted not in (0, distributed.size()):
            raise UserError(f"config: TRAIN.NUM_GPUS={wanted}, but {distributed.size()} processes were "
                            "started; start as many, or leave it 0")
        if 0 < visible < distributed.job().local_size:
            raise UserError(f"{distributed.job().local_size} processes on this machine share {visible} GPUs; "
                            "start one for each GPU")
        return distributed.size()
    if wanted > visible:
        raise UserError(f"config: TRAIN.NUM_GPUS={wanted}, but {visible} GPUs are visible; 0 takes what there is")
    return wanted or visible


def describe_devices(cfg):
    """Args: cfg (AttrDict): with the TRAIN.NUM_GPUS of `num_gpus`. Returns: str, what the training runs on"""
    if distributed.size() > 1:
        return f"{distributed.size()} processes" + (", each on a GPU" if visible_gpus() else ", on CPUs")
    return f"{cfg.TRAIN.NUM_GPUS} GPUs" if cfg.TRAIN.NUM_GPUS and visible_gpus() else "the CPU"

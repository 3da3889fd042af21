"""How the tests' sessions run small graphs."""
import tensorflow as tf


def take_graphs_as_they_are(config):
    """
    Let TensorFlow's optimizers rewrite no graph: for a small one that takes longer than what it spares.

    Args:
        config (ConfigProto): of a session, which is changed

    Returns:
        ConfigProto: the same
    """
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
    return config

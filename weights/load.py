"""Starting a session from weights."""
from tensorpack.tfutils.sessinit import SessionInit
from tensorpack.tfutils.varmanip import SessionUpdate

from weights.files import read_weights
from weights.fit import check_fit, network_variables


class LoadWeights(SessionInit):
    """
    Tensorpack's way to start a session from weights: an .npz or .pkl file, or the network's part of a checkpoint.

    Args:
        path (str): see `read_weights`
        partial (bool): see `check_fit`
    """

    def __init__(self, path, partial=False):
        self.path, self.partial = path, partial
        self.weights = read_weights(path)

    def _setup_graph(self):
        self.variables = network_variables()
        self.weights = check_fit(self.path, self.weights, self.variables, self.partial)

    def _run_init(self, sess):
        update = SessionUpdate(sess, [self.variables[name] for name in self.weights])
        update.update({self.variables[name].name: value for name, value in self.weights.items()})

"""What trains a network: the loop, its schedule, callbacks and checkpoints."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

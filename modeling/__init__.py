"""The network: one file per stage, and `generalized_rcnn` which puts them together."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

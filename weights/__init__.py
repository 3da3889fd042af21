"""Weights on disk: found, read, checked and converted."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

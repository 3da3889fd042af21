"""How good detections are."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

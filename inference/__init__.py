"""From images to detections."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

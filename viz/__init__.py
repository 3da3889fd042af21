"""Pictures of what the network sees and says."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

"""How a config is held, read from words and checked; its keys are in config.py."""
from common import UserError


class ConfigError(UserError):
    """A key or a value of the config that cannot be used; the message names both and the remedy."""

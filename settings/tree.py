"""The tree of attributes that a config is."""
import copy
import os

from settings import ConfigError, words
from settings.dialects import files, translate


class AttrDict:
    """A tree of attributes. Keys can be added until it is frozen; afterwards nothing changes."""

    def __init__(self, tree=None):
        self.__dict__["_frozen"] = False
        for key, value in (tree or {}).items():
            setattr(self, key, AttrDict(value) if isinstance(value, dict) else value)

    def __setattr__(self, key, value):
        if self._frozen:
            raise ConfigError(f"config: {key}={value!r} comes too late, the config is frozen after finalize_configs; "
                              "change it before, or work on config.clone()")
        self.__dict__[key] = value

    def __getattr__(self, key):
        # only called for a key that is not there
        raise AttributeError(f"config has no key {key}; the keys here are {', '.join(self.keys())}")

    def keys(self):
        """Returns: list[str], the keys on this level"""
        return [k for k in self.__dict__ if k != "_frozen"]

    def flatten(self, prefix=""):
        """Returns: dict of "A.B.C" to value, in the order of definition"""
        flat = {}
        for key in self.keys():
            value = getattr(self, key)
            if isinstance(value, AttrDict):
                flat.update(value.flatten(f"{prefix}{key}."))
            else:
                flat[prefix + key] = value
        return flat

    def to_dict(self):
        """Returns: a nested dict, which `AttrDict` and json take"""
        values = {key: getattr(self, key) for key in self.keys()}
        return {key: v.to_dict() if isinstance(v, AttrDict) else v for key, v in values.items()}

    def clone(self):
        """Returns: an independent copy that is not frozen"""
        return AttrDict(copy.deepcopy(self.to_dict()))

    def freeze(self):
        """From here on nothing changes."""
        self.__dict__["_frozen"] = True
        for value in self.__dict__.values():
            if isinstance(value, AttrDict):
                value.freeze()

    def set(self, key, value):
        """
        Set one key by its dotted name.

        Args:
            key (str): such as "TRAIN.BASE_LR"
            value: of the type of the value it replaces, as `words.cast` takes it

        Raises:
            ConfigError: the key is not known, or the value is of another type
        """
        flat = self.flatten()
        words.check_known(key, flat)
        node = self
        *path, leaf = key.split(".")
        for name in path:
            node = getattr(node, name)
        setattr(node, leaf, words.cast(key, value, flat[key]))

    def update_args(self, args, _files=()):
        """
        Apply the words of `--config`, left to right; the later wins.

        Args:
            args (list[str]): "KEY=VALUE", where VALUE is a Python literal or a bare string, or "@FILE" with such a
                word per line ("#" starts a comment line), or with a config of another project, see `dialects`; a FILE
                that a file names may stand beside it

        Raises:
            ConfigError: a word cannot be used
        """
        for word in args:
            if not word.startswith("@"):
                self.set(*words.split(word))
                continue
            name = word[1:]
            if _files and not os.path.exists(name):
                name = os.path.join(os.path.dirname(_files[-1]), name)
            if files.is_yaml(name):
                for key, value in translate.settings_of(name).items():
                    self.set(key, value)
                continue
            path = os.path.realpath(name)
            if path in _files:
                raise ConfigError(f"config: {name} includes itself; take the line {word} out")
            self.update_args(words.read_file(name), (*_files, path))

"""
Configs of other projects, in YAML: what `--config @their.yaml` sets.

A dialect is a module with the project's `keys`, and with `translate`, which sets ours. `keys` is a module with

    NAME: of the project
    VARIANTS: name of a variant of it to the beginnings of keys that only this one has
    COPIED: key to the key of ours that means the same
    DEFAULTS: of each key that counts here
    FIXED: dicts of key to what it has to be (`theirs.Fixed`), since here it is always so
    IGNORED: key to why it has no effect here; a name that ends in a dot or an underscore is of all keys that begin so
"""

"""Layers that a training leaves as they are."""
from tensorpack import tfv1
from tensorpack.tfutils.varreplace import custom_getter_scope


def fixed_variables(endings=("",)):
    """Returns: a context in which new variables are not trained whose names have one of the endings; by default, all"""
    def getter(getter, name, *args, **kwargs):
        if not name.endswith(endings):
            return getter(name, *args, **kwargs)
        variable = getter(name, *args, **dict(kwargs, trainable=False))
        tfv1.add_to_collection(tfv1.GraphKeys.MODEL_VARIABLES, variable)
        return variable
    return custom_getter_scope(getter)

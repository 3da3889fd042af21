"""Axes of weights: those of Caffe2 and of PyTorch come first-to-last as (outputs, inputs, rows, columns)."""
def to_our_axes(array):
    """
    Convolutions (out, in / groups, kh, kw) become (kh, kw, in / groups, out), transposed ones (in, out, kh, kw) become
    (kh, kw, out, in), fully connected layers (out, in) become (in, out). What takes features takes them channel-first
    here as there.

    Args:
        array: of a layer, with 1, 2 or 4 axes

    Returns:
        a view of it
    """
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def drop_background(array):
    """Args: array (..., classes), the background first. Returns: (..., classes - 1)"""
    return array[..., 1:]


def reverse_inputs(array):
    """Args: array: a kernel (kh, kw, 3, out) for RGB images, or a bias. Returns: the same for BGR images"""
    return array[:, :, ::-1] if array.ndim == 4 else array

"""
Weights of Detectron (Caffe2) and Detectron2 under the names and in the layouts of this project.

Their networks need a config of their own: BACKBONE.STRIDE_1X1=True with ResNets of MSRA, which most of their models
start from (False with those of FAIR: ResNeXt and GN), PREPROC.PIXEL_STD=(1.0, 1.0, 1.0), and in Detectron
PREPROC.PIXEL_MEAN=(122.7717, 115.9465, 102.9801). BACKBONE.TF_PAD_MODE=False pads as they do: one row and column less
at the right and bottom, which no stride of 2 reaches. Their images are BGR like ours; the few Detectron2 models with
INPUT.FORMAT "RGB", among them torchvision's ResNets, would read colours swapped.

FRCNN.POOL_SHIFTED=False pools RoIs as Detectron does, and FRCNN.POOL_SAMPLES=0 as both do where their sampling ratio is
0. What stays different: Detectron's boxes are 1 larger than x2 - x1 and its anchors are rounded, so that its models
give other boxes here, as they do in Detectron2 (docs/notes/compatibility.md there). Detectron's maps of keypoints are
doubled by a fixed transposed convolution, which differs at their borders.

In both projects a head's norm stands between convolution and ReLU, so their GN heads need FPN.HEAD_NORM_FIRST=True.
Detectron2's batch norms in pyramid and heads are those of FPN.NORM=SyncBN and of the heads "…_bn_head".

Not converted, since it would compute something else: an RPN with norms. Panoptic and RetinaNet heads have no
counterpart. Deformable convolutions are refused, since their weights would fit plain ones.

Sources of names and layouts: Detectron, detectron/modeling/{ResNet,FPN,VGG16,rpn_heads,fast_rcnn_heads,
mask_rcnn_heads,keypoint_rcnn_heads,generate_anchors}.py; Detectron-Cascade-RCNN (Cai),
detectron/modeling/cascade_rcnn_heads.py; Detectron2, detectron2/checkpoint/c2_model_loading.py and
detectron2/modeling/.
"""
import re

from common import UserError

import numpy as np

from weights.axes import drop_background, to_our_axes

BATCH_NORM_EPSILON = 1e-5
RATIOS = 3    # anchors of one size in Detectron, at heights / widths of 0.5, 1, 2


# changes of a layer's outputs, the last axis of W (..., outputs) and of b (outputs,) ---------------------------------
def _background_first(v):
    """Detectron2 has the background behind the classes, we have it before them."""
    return np.roll(v, 1, axis=-1)


def _add_background_box(v):
    """4 unused outputs for the background, which Detectron2 does not have."""
    return np.concatenate([np.zeros_like(v[..., :4]), v], axis=-1)


def _drop_mask_of_background(v):
    """A class-agnostic mask has no background."""
    return drop_background(v) if v.shape[-1] > 1 else v


def _sizes_first(outputs):
    """Detectron's anchors of a cell go through the sizes of one ratio, ours through the ratios of one size."""
    def change(v):
        v = v.reshape(*v.shape[:-1], RATIOS, -1, outputs)
        return v.swapaxes(-2, -3).reshape(*v.shape[:-3], -1)
    return change


# layers: their name, ours by the parts in brackets, and what changes in the outputs ----------------------------------
# box_head1 is the only box head, or the first of a cascade
DETECTRON = [
    (r"(?:res_)?conv1", lambda: "conv0", None),
    (r"conv([1-5])_([1-3])", lambda stage, i: f"conv{stage}_{i}", None),    # of VGG16
    (r"res([2-5])_(\d+)_branch1", lambda stage, block: f"group{stage - 2}/block{block}/convshortcut", None),
    (r"res([2-5])_(\d+)_branch2a", lambda stage, block: f"group{stage - 2}/block{block}/conv1", None),
    (r"res([2-5])_(\d+)_branch2b", lambda stage, block: f"group{stage - 2}/block{block}/conv2", None),
    (r"res([2-5])_(\d+)_branch2c", lambda stage, block: f"group{stage - 2}/block{block}/conv3", None),
    # a level is named after the last block of its stage, which depends on the depth
    (r"fpn_inner_res(\d)_\d+_sum(?:_lateral)?", lambda level: f"fpn/lateral_1x1_c{level}", None),
    (r"fpn_res(\d)_\d+_sum", lambda level: f"fpn/posthoc_3x3_p{level}", None),
    (r"conv_rpn(?:_fpn\d)?", lambda: "rpn/conv0", None),
    (r"rpn_cls_logits", lambda: "rpn/class", _sizes_first(1)),
    (r"rpn_bbox_pred", lambda: "rpn/box", _sizes_first(4)),
    (r"rpn_cls_logits_fpn\d", lambda: "rpn/class", None),    # one size a level
    (r"rpn_bbox_pred_fpn\d", lambda: "rpn/box", None),
    (r"head_conv(\d)(?:_([23]))?", lambda i, stage=1: f"box_head{stage}/conv{i - 1}", None),
    (r"fc([67])(?:_([23]))?", lambda i, stage=1: f"box_head{stage}/fc{i}", None),
    (r"cls_score(?:_([23]))?", lambda stage=1: f"box_head{stage}/outputs/class", None),
    (r"bbox_pred(?:_([23]))?", lambda stage=1: f"box_head{stage}/outputs/box", None),
    (r"(?:_\[mask\]_|_mask_)fcn(\d)", lambda i: f"maskrcnn/fcn{i - 1}", None),
    (r"conv5_mask", lambda: "maskrcnn/deconv", None),
    # a conv5 of the mask head's own: v0up
    (r"_\[mask\]_res5_(\d)_branch1", lambda block: f"maskrcnn/group3/block{block}/convshortcut", None),
    (r"_\[mask\]_res5_(\d)_branch2a", lambda block: f"maskrcnn/group3/block{block}/conv1", None),
    (r"_\[mask\]_res5_(\d)_branch2b", lambda block: f"maskrcnn/group3/block{block}/conv2", None),
    (r"_\[mask\]_res5_(\d)_branch2c", lambda block: f"maskrcnn/group3/block{block}/conv3", None),
    (r"mask_fcn_logits", lambda: "maskrcnn/conv", _drop_mask_of_background),
    (r"conv_fcn(\d)", lambda i: f"keypointrcnn/conv{i}", None),
    (r"kps_score_lowres", lambda: "keypointrcnn/deconv", None),
]

BACKBONE = r"(?:backbone\.(?:bottom_up\.)?|roi_heads\.)?"    # a file of a backbone alone has none of it
DETECTRON2 = [
    (BACKBONE + r"stem\.conv1", lambda: "conv0", None),
    (BACKBONE + r"res([2-5])\.(\d+)\.shortcut",
     lambda stage, block: f"group{stage - 2}/block{block}/convshortcut", None),
    (BACKBONE + r"res([2-5])\.(\d+)\.conv([123])",
     lambda stage, block, i: f"group{stage - 2}/block{block}/conv{i}", None),
    (r"backbone\.fpn_lateral(\d)", lambda level: f"fpn/lateral_1x1_c{level}", None),
    (r"backbone\.fpn_output(\d)", lambda level: f"fpn/posthoc_3x3_p{level}", None),
    (r"proposal_generator\.rpn_head\.conv(?:\.conv(\d))?", lambda i=0: f"rpn/conv{i}", None),
    # anchors in our order
    (r"proposal_generator\.rpn_head\.objectness_logits", lambda: "rpn/class", None),
    (r"proposal_generator\.rpn_head\.anchor_deltas", lambda: "rpn/box", None),
    (r"roi_heads\.box_head\.conv(\d)", lambda i: f"box_head1/conv{i - 1}", None),
    (r"roi_heads\.box_head\.fc(\d)", lambda i: f"box_head1/fc{i + 5}", None),
    (r"roi_heads\.box_predictor\.cls_score", lambda: "box_head1/outputs/class", _background_first),
    (r"roi_heads\.box_predictor\.bbox_pred", lambda: "box_head1/outputs/box", _add_background_box),
    (r"roi_heads\.box_head\.(\d)\.conv(\d)", lambda stage, i: f"box_head{stage + 1}/conv{i - 1}", None),
    (r"roi_heads\.box_head\.(\d)\.fc(\d)", lambda stage, i: f"box_head{stage + 1}/fc{i + 5}", None),
    (r"roi_heads\.box_predictor\.(\d)\.cls_score", lambda stage: f"box_head{stage + 1}/outputs/class",
     _background_first),
    (r"roi_heads\.box_predictor\.(\d)\.bbox_pred", lambda stage: f"box_head{stage + 1}/outputs/box", None),
    (r"roi_heads\.mask_head\.mask_fcn(\d)", lambda i: f"maskrcnn/fcn{i - 1}", None),
    (r"roi_heads\.mask_head\.deconv", lambda: "maskrcnn/deconv", None),
    (r"roi_heads\.mask_head\.predictor", lambda: "maskrcnn/conv", None),
    (r"roi_heads\.keypoint_head\.conv_fcn(\d)", lambda i: f"keypointrcnn/conv{i}", None),
    (r"roi_heads\.keypoint_head\.score_lowres", lambda: "keypointrcnn/deconv", None),
]

# variables of a layer; "norm" becomes "bn" or "gn"
ENDINGS = {
    "_w": "W", "_b": "b",
    "_bn_s": "bn/gamma", "_bn_b": "bn/beta",    # with fixed statistics, folded into scale and bias
    "_bn_gamma": "bn/gamma", "_bn_beta": "bn/beta",
    "_bn_running_mean": "bn/mean/EMA", "_bn_running_var": "bn/variance/EMA",
    "_bn_rm": "bn/mean/EMA", "_bn_riv": "bn/variance/EMA",
    "_gn_s": "gn/gamma", "_gn_b": "gn/beta",
    ".weight": "W", ".bias": "b",
    ".norm.weight": "norm/gamma", ".norm.bias": "norm/beta",
    ".norm.running_mean": "bn/mean/EMA", ".norm.running_var": "bn/variance/EMA",
}
NAME = re.compile(f"(.+?)({'|'.join(map(re.escape, ENDINGS))})")

RPN_NORM = re.compile(r"rpn/\w+/[gb]n/")    # which no RPN here has


def is_detectron_name(name):
    """Returns: bool, whether a variable's name is of the kind that Detectron or Detectron2 uses"""
    return bool(NAME.fullmatch(name))


def convert(path, content):
    """
    Args:
        path (str): named in messages
        content: what a .pkl of Detectron or Detectron2 holds: a dict of name to array, or one under "blobs" or "model"

    Returns:
        dict of name to array, with our names and layouts where a layer has a counterpart, else as it was; momentum,
        anchors and the like are left out

    Raises:
        UserError: there are no arrays, one has a shape that its layer cannot have, or a convolution is deformable
    """
    arrays = _arrays(path, content)
    deformable = [name for name in arrays if "conv2_offset" in name]
    if deformable:
        raise UserError(f"{path} has deformable convolutions ({deformable[0]}), which no network here has")
    converted, sources, unknown = {}, {}, {}
    for name, array in arrays.items():
        our_name, change = _counterpart(name, arrays)
        if our_name is None:
            unknown[name] = array
            continue
        try:
            converted[our_name] = change(to_our_axes(array)) if change else to_our_axes(array)
        except (ValueError, IndexError):
            raise UserError(f"{path}: {name} cannot have the shape {array.shape}; "
                            "only models with Detectron's own anchors and classes are converted") from None
        sources[our_name] = name

    if any(map(RPN_NORM.match, converted)):
        for our_name in [name for name in converted if name.startswith("rpn/")]:
            unknown[sources[our_name]] = arrays[sources[our_name]]
            del converted[our_name]
    _complete(converted)
    return {**_name_heads(converted), **unknown}


def _arrays(path, content):
    """The arrays of a file's content, by name."""
    def with_text_keys(mapping):
        return {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in mapping.items()}

    content = with_text_keys(content) if isinstance(content, dict) else {}
    for key in ("model", "blobs"):
        if isinstance(content.get(key), dict):
            content = with_text_keys(content[key])
    arrays = {name: np.asarray(value) for name, value in content.items()
              if isinstance(name, str) and name.isprintable() and isinstance(value, np.ndarray)}
    if not arrays:
        raise UserError(f"{path} holds no weights; a dict of name to NumPy array is wanted, "
                        "as Detectron and Detectron2 write it")
    # kps_score is a fixed upsampling
    state = re.compile(r".*_momentum|lr|.*\.num_batches_tracked|.*anchor_generator.*|pixel_(mean|std)|kps_score_[wb]")
    return {name: value for name, value in arrays.items() if not state.fullmatch(name)}


def _counterpart(name, arrays):
    """Returns: our name and the change of the outputs, or None, None"""
    match = NAME.fullmatch(name)
    layer, ending = match.groups() if match else ("", "")
    for pattern, our_layer, change in DETECTRON + DETECTRON2:
        match = re.fullmatch(pattern, layer)
        if match:
            norm = "bn" if f"{layer}.norm.running_mean" in arrays else "gn"
            our_name = our_layer(*[int(part) for part in match.groups() if part is not None])
            our_name = f"{our_name}/{ENDINGS[ending].replace('norm', norm)}"
            return re.sub(r"fpn/\w+_([cp]\d)/gn", r"fpn/gn_\1", our_name), change
    return None, None


def _complete(weights):
    """Add the variables that Detectron does without."""
    for name, value in list(weights.items()):
        layer, _, last = name.rpartition("/")
        # without a bias before GN, as here before batch norms
        if last == "W" and layer.startswith("fpn/") and f"{layer}/bn/gamma" not in weights:
            weights.setdefault(f"{layer}/b", np.zeros_like(value[0, 0, 0]))
        if name.endswith("/bn/gamma") and f"{layer}/mean/EMA" not in weights:
            weights[f"{layer}/mean/EMA"] = np.zeros_like(value)
            weights[f"{layer}/variance/EMA"] = np.full_like(value, 1 - BATCH_NORM_EPSILON)


def _name_heads(weights):
    """Returns: the weights with the names of the box heads, which depend on what else is there"""
    is_cascade = any(name.startswith("box_head2/") for name in weights)
    has_fpn = any(name.startswith("fpn/") for name in weights)
    named = {}
    for name, value in weights.items():
        match = re.fullmatch(r"box_head(\d)/(outputs/)?(.*)", name)
        if match is None:
            named[name] = value
            continue
        stage, outputs, variable = match.groups(default="")
        if variable.startswith("fc6/") and f"box_head{stage}/conv0/W" in weights:
            variable = variable.replace("fc6", "fc")
        if not is_cascade:
            named[f"fastrcnn/{outputs if has_fpn else ''}{variable}"] = value
        else:
            # Detectron has an unused box for the background
            has_background = outputs and variable.startswith("box/") and value.shape[-1] == 8
            named[f"cascade_rcnn_stage{stage}/{outputs or 'head/'}{variable}"] = (
                value[..., 4:] if has_background else value)
    return named

"""The network as a function from images to detections."""
from tensorpack.predict import OfflinePredictor, PredictConfig

import distributed

from .generalized_rcnn import GeneralizedRCNN
from .weights import LoadWeights


def load_predictor(cfg, weights_path):
    """
    Args:
        cfg (AttrDict): a finalized config
        weights_path (str): see `weights.read_weights`

    Returns:
        callable: see `as_predict_function`

    Raises:
        UserError: the weights cannot be read, or are of another architecture
    """
    model = GeneralizedRCNN(cfg)
    inputs, outputs = model.inference_tensor_names()
    return as_predict_function(OfflinePredictor(PredictConfig(
        model=model, session_creator=distributed.session_creator(), session_init=LoadWeights(weights_path),
        input_names=inputs, output_names=outputs)))


def as_predict_function(predictor):
    """
    Args:
        predictor (callable): a tensorpack predictor of `GeneralizedRCNN.inference_tensor_names`

    Returns:
        callable from images uint8 (B, H, W, 3) and image_sizes int32 (B, 2) to flat lists over the batch: boxes (D, 4)
        in pixels, clipped to their images; scores (D,); labels (D,) in 1..; image_index (D,); masks (D, m, m) in
        0..1, or None. The detections of an image stand together by falling score.
    """
    def predict(images, image_sizes):
        boxes, scores, labels, image_index, *masks = predictor(images, image_sizes)
        return boxes, scores, labels, image_index, masks[0] if masks else None
    return predict

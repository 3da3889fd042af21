"""The keys of Detectron, of Detectron.pytorch, and of its fork with IoU and GIoU losses (generalized-iou)."""
import math

from settings.dialects.theirs import Fixed

NAME = "Detectron"
VARIANTS = {
    "the GIoU fork of Detectron.pytorch": ("MODEL.LOSS_", "MODEL.RPN_LOSS_"),
    "Detectron.pytorch": (
        "SOLVER.TYPE", "SOLVER.BIAS_", "RPN.OUT_DIM", "RPN.CLS_ACTIVATION", "TRAIN.ASPECT_C", "TRAIN.ASPECT_HI",
        "TRAIN.ASPECT_LO", "RESNETS.FREEZE_AT", "RESNETS.IMAGENET_", "RESNETS.USE_GN", "MODEL.SHARE_RES5",
        "MODEL.LOAD_IMAGENET_", "CROP_RESIZE_")}

COPIED = {
    "MODEL.MASK_ON": "MODE_MASK", "MODEL.KEYPOINTS_ON": "MODE_KEYPOINT", "FPN.DIM": "FPN.NUM_CHANNEL",
    "MODEL.BBOX_REG_WEIGHTS": "FRCNN.BBOX_REG_WEIGHTS",
    "RESNETS.NUM_GROUPS": "BACKBONE.RESNEXT_GROUPS", "RESNETS.WIDTH_PER_GROUP": "BACKBONE.RESNEXT_WIDTH",
    "RESNETS.STRIDE_1X1": "BACKBONE.STRIDE_1X1",
    "FAST_RCNN.MLP_HEAD_DIM": "FPN.FRCNN_FC_HEAD_DIM", "FAST_RCNN.CONV_HEAD_DIM": "FPN.FRCNN_CONV_HEAD_DIM",
    "TRAIN.BATCH_SIZE_PER_IM": "FRCNN.BATCH_PER_IM", "TRAIN.FG_FRACTION": "FRCNN.FG_RATIO",
    "TRAIN.FG_THRESH": "FRCNN.FG_THRESH", "TRAIN.RPN_POSITIVE_OVERLAP": "RPN.POSITIVE_ANCHOR_THRESH",
    "TRAIN.RPN_NEGATIVE_OVERLAP": "RPN.NEGATIVE_ANCHOR_THRESH", "TRAIN.RPN_FG_FRACTION": "RPN.FG_RATIO",
    "TRAIN.RPN_BATCH_SIZE_PER_IM": "RPN.BATCH_PER_IM", "TRAIN.RPN_STRADDLE_THRESH": "RPN.STRADDLE_THRESH",
    "TRAIN.ASPECT_CROPPING": "PREPROC.ASPECT_CROPPING", "TRAIN.IMS_PER_BATCH": "TRAIN.IMS_PER_GPU",
    "TEST.NMS": "TEST.FRCNN_NMS_THRESH", "TEST.SCORE_THRESH": "TEST.RESULT_SCORE_THRESH",
    "TEST.DETECTIONS_PER_IM": "TEST.RESULTS_PER_IM",
    "SOLVER.MOMENTUM": "TRAIN.MOMENTUM", "SOLVER.WEIGHT_DECAY": "TRAIN.WEIGHT_DECAY",
    "MODEL.LOSS_BBOX_WEIGHT": "FRCNN.LOSS_BBOX_WEIGHT", "MODEL.RPN_LOSS_BBOX_WEIGHT": "RPN.LOSS_BBOX_WEIGHT"}

DEFAULTS = {
    "NUM_GPUS": 1, "PIXEL_MEANS": (((102.9801, 115.9465, 122.7717),),), "BBOX_XFORM_CLIP": math.log(1000 / 16),
    "CROP_RESIZE_WITH_MAX_POOL": True,
    "MODEL.CONV_BODY": "", "MODEL.MASK_ON": False, "MODEL.KEYPOINTS_ON": False,
    "MODEL.BBOX_REG_WEIGHTS": (10.0, 10.0, 5.0, 5.0), "MODEL.LOSS_TYPE": "smooth_l1",
    "MODEL.RPN_LOSS_TYPE": "smooth_l1",
    "MODEL.LOSS_BBOX_WEIGHT": 1.0, "MODEL.RPN_LOSS_BBOX_WEIGHT": 1.0,
    "FPN.DIM": 256, "FPN.MULTILEVEL_ROIS": False, "FPN.MULTILEVEL_RPN": False,
    "FPN.RPN_ASPECT_RATIOS": (0.5, 1, 2), "FPN.RPN_ANCHOR_START_SIZE": 32, "FPN.USE_GN": False,
    "RPN.SIZES": (64, 128, 256, 512), "RPN.STRIDE": 16, "RPN.ASPECT_RATIOS": (0.5, 1, 2),
    "RPN.OUT_DIM_AS_IN_DIM": True, "RPN.OUT_DIM": 512,
    "RESNETS.NUM_GROUPS": 1, "RESNETS.WIDTH_PER_GROUP": 64, "RESNETS.STRIDE_1X1": True, "RESNETS.USE_GN": False,
    "RESNETS.TRANS_FUNC": "bottleneck_transformation", "RESNETS.STEM_FUNC": "basic_bn_stem",
    "RESNETS.SHORTCUT_FUNC": "basic_bn_shortcut", "RESNETS.IMAGENET_PRETRAINED_WEIGHTS": "",
    "RESNETS.FREEZE_AT": 2, "TRAIN.FREEZE_AT": 2,
    "FAST_RCNN.ROI_BOX_HEAD": "", "FAST_RCNN.MLP_HEAD_DIM": 1024, "FAST_RCNN.CONV_HEAD_DIM": 256,
    "FAST_RCNN.NUM_STACKED_CONVS": 4, "FAST_RCNN.ROI_XFORM_METHOD": "RoIPoolF", "FAST_RCNN.ROI_XFORM_RESOLUTION": 14,
    "FAST_RCNN.ROI_XFORM_SAMPLING_RATIO": 0,
    "MRCNN.ROI_MASK_HEAD": "", "MRCNN.RESOLUTION": 14, "MRCNN.ROI_XFORM_METHOD": "RoIAlign",
    "MRCNN.ROI_XFORM_SAMPLING_RATIO": 0, "MRCNN.DIM_REDUCED": 256,
    "MRCNN.CLS_SPECIFIC_MASK": True,
    "KRCNN.NUM_STACKED_CONVS": 8, "KRCNN.CONV_HEAD_DIM": 256, "KRCNN.LOSS_WEIGHT": 1.0,
    "KRCNN.NORMALIZE_BY_VISIBLE_KEYPOINTS": True, "KRCNN.ROI_XFORM_METHOD": "RoIAlign",
    "KRCNN.ROI_XFORM_SAMPLING_RATIO": 0,
    "TRAIN.WEIGHTS": "", "TRAIN.DATASETS": (), "TRAIN.SCALES": (600,), "TRAIN.MAX_SIZE": 1000, "TRAIN.IMS_PER_BATCH": 2,
    "TRAIN.BATCH_SIZE_PER_IM": 64, "TRAIN.FG_FRACTION": 0.25, "TRAIN.FG_THRESH": 0.5, "TRAIN.BG_THRESH_HI": 0.5,
    "TRAIN.BBOX_THRESH": 0.5, "TRAIN.USE_FLIPPED": True, "TRAIN.SNAPSHOT_ITERS": 20000, "TRAIN.ASPECT_CROPPING": False,
    "TRAIN.ASPECT_HI": 2.0, "TRAIN.ASPECT_LO": 0.5,
    "TRAIN.RPN_POSITIVE_OVERLAP": 0.7, "TRAIN.RPN_NEGATIVE_OVERLAP": 0.3, "TRAIN.RPN_FG_FRACTION": 0.5,
    "TRAIN.RPN_BATCH_SIZE_PER_IM": 256, "TRAIN.RPN_NMS_THRESH": 0.7, "TRAIN.RPN_PRE_NMS_TOP_N": 12000,
    "TRAIN.RPN_POST_NMS_TOP_N": 2000, "TRAIN.RPN_STRADDLE_THRESH": 0.0,
    "DATA_LOADER.NUM_THREADS": 4, "RNG_SEED": 3, "VIS_TH": 0.9,
    "TEST.DATASETS": (), "TEST.SCALE": 600, "TEST.SCALES": (), "TEST.MAX_SIZE": 1000, "TEST.NMS": 0.3,
    "TEST.RPN_NMS_THRESH": 0.7, "TEST.RPN_PRE_NMS_TOP_N": 12000, "TEST.RPN_POST_NMS_TOP_N": 2000,
    "TEST.DETECTIONS_PER_IM": 100, "TEST.SCORE_THRESH": 0.05,
    "SOLVER.BASE_LR": 0.001, "SOLVER.LR_POLICY": "step", "SOLVER.GAMMA": 0.1, "SOLVER.STEP_SIZE": 30000,
    "SOLVER.STEPS": (), "SOLVER.LRS": (), "SOLVER.MAX_ITER": 40000, "SOLVER.MOMENTUM": 0.9,
    "SOLVER.WEIGHT_DECAY": 0.0005, "SOLVER.WARM_UP_ITERS": 500, "SOLVER.WARM_UP_FACTOR": 1 / 3,
    "SOLVER.BIAS_DOUBLE_LR": True, "SOLVER.BIAS_WEIGHT_DECAY": False}

ALWAYS_FIXED = {
    "MODEL.TYPE": Fixed("", ("", "generalized_rcnn", "faster_rcnn", "mask_rcnn", "keypoint_rcnn",
                        "mask_and_keypoint_rcnn"),
                        "there is no other kind of model"),
    "MODEL.RPN_ONLY": Fixed(False, (False,), "an RPN is trained together with a box head"),
    "RETINANET.RETINANET_ON": Fixed(False, (False,), "there is no RetinaNet"),
    "MODEL.FASTER_RCNN": Fixed(False, (True,), "proposals are those of the RPN that is trained along"),
    "TRAIN.PROPOSAL_FILES": Fixed((), ((),), "proposals are those of the RPN that is trained along"),
    "MODEL.CLS_AGNOSTIC_BBOX_REG": Fixed(False, (False,), "boxes are of each class"),
    "MODEL.UNSUPERVISED_POSE": Fixed(False, (False,), "keypoints are learned from annotated ones"),
    "RPN.CLS_ACTIVATION": Fixed("sigmoid", ("sigmoid",), "the RPN has one logit an anchor"),
    "RESNETS.RES5_DILATION": Fixed(1, (1,), "convolutions are not dilated"),
    "GROUP_NORM.DIM_PER_GP": Fixed(-1, (-1,), "GN has 32 groups"),
    "GROUP_NORM.NUM_GROUPS": Fixed(32, (32,), "GN has 32 groups"),
    "GROUP_NORM.EPSILON": Fixed(1e-5, (1e-5,), "GN adds 1e-5"),
    "TRAIN.BG_THRESH_LO": Fixed(0.0, (0, -1), "every RoI that is no foreground is background"),
    "TRAIN.FREEZE_CONV_BODY": Fixed(False, (False,), "the whole body cannot be frozen"),
    "TRAIN.GT_MIN_AREA": Fixed(-1, (-1, 0), "small objects are trained on"),
    "TRAIN.RPN_MIN_SIZE": Fixed(0, (0,), "RPN.MIN_SIZE is in pixels of the network, not of the image"),
    "TRAIN.BBOX_NORMALIZE_TARGETS_PRECOMPUTED": Fixed(False, (False,), "targets are scaled by MODEL.BBOX_REG_WEIGHTS"),
    "SOLVER.TYPE": Fixed("SGD", ("SGD",), "the optimizer is SGD with momentum"),
    "SOLVER.WEIGHT_DECAY_GN": Fixed(0.0, (0,), "norms do not decay"),
    "SOLVER.WARM_UP_METHOD": Fixed("linear", ("linear",), "a warm-up is linear"),
    "SOLVER.SCALE_MOMENTUM": Fixed(True, (True,), "momentum follows the rate")}
PYRAMID_FIXED = {
    "FPN.FPN_ON": Fixed(False, (True,), "the body is a pyramid"),
    "FPN.COARSEST_STRIDE": Fixed(32, (32,), "sides are rounded up to 32"),
    "FPN.ROI_CANONICAL_SCALE": Fixed(224, (224,), "a box of 224 pixels is of level 4"),
    "FPN.ROI_CANONICAL_LEVEL": Fixed(4, (4,), "a box of 224 pixels is of level 4"),
    "FPN.ROI_MAX_LEVEL": Fixed(5, (5,), "RoIs are of the levels 2 to 5"),
    "FPN.ROI_MIN_LEVEL": Fixed(2, (2,), "RoIs are of the levels 2 to 5"),
    "FPN.RPN_MAX_LEVEL": Fixed(6, (6,), "anchors are of the levels 2 to 6"),
    "FPN.RPN_MIN_LEVEL": Fixed(2, (2,), "anchors are of the levels 2 to 6"),
    "FPN.EXTRA_CONV_LEVELS": Fixed(False, (False,), "P6 is P5 subsampled"),
    "FPN.ZERO_INIT_LATERAL": Fixed(False, (False,), "lateral connections start at random")}
MASK_FIXED = {
    "MRCNN.ROI_XFORM_RESOLUTION": Fixed(7, (14,), "mask heads take 14 x 14 bins"),
    "MRCNN.DILATION": Fixed(2, (1,), "convolutions are not dilated"),
    "MRCNN.UPSAMPLE_RATIO": Fixed(1, (1,), "masks are not enlarged"),
    "MRCNN.USE_FC_OUTPUT": Fixed(False, (False,), "masks are made by convolutions"),
    "MRCNN.WEIGHT_LOSS_MASK": Fixed(1.0, (1,), "the mask loss has the weight 1")}
KEYPOINT_FIXED = {
    "KRCNN.ROI_KEYPOINTS_HEAD": Fixed("", tuple(f"keypoint_rcnn_heads.{name}" for name in (
                                          "add_roi_pose_head_v1convX", "roi_pose_head_v1convX")),
                                      "there is one keypoint head"),
    "KRCNN.USE_DECONV": Fixed(False, (False,), "the transposed convolution makes the output"),
    "KRCNN.USE_DECONV_OUTPUT": Fixed(False, (True,), "the transposed convolution makes the output"),
    "KRCNN.DECONV_KERNEL": Fixed(4, (4,), "the transposed convolution is 4 x 4"),
    "KRCNN.CONV_HEAD_KERNEL": Fixed(3, (3,), "the convolutions are 3 x 3"),
    "KRCNN.DILATION": Fixed(1, (1,), "convolutions are not dilated"),
    "KRCNN.UP_SCALE": Fixed(-1, (2,), "heatmaps are enlarged twice"),
    "KRCNN.HEATMAP_SIZE": Fixed(-1, (56,), "heatmaps have 56 x 56 places"),
    "KRCNN.ROI_XFORM_RESOLUTION": Fixed(7, (14,), "the head takes 14 x 14 bins"),
    "KRCNN.INFERENCE_MIN_SIZE": Fixed(0, (0,), "heatmaps are enlarged to the box")}
FIXED = (ALWAYS_FIXED, PYRAMID_FIXED, MASK_FIXED, KEYPOINT_FIXED)

IGNORED = {
    "MODEL.NUM_CLASSES": "classes are counted in the data set, here without the background",
    "MODEL.EXECUTION_TYPE": "of Caffe2", "MODEL.SHARE_RES5": "follows from the heads",
    "MODEL.LOAD_IMAGENET_PRETRAINED_WEIGHTS": "BACKBONE.WEIGHTS says it",
    "RESNETS.IMAGENET_PRETRAINED": "BACKBONE.WEIGHTS says it",
    "RPN.RPN_ON": "follows from MODEL.FASTER_RCNN", "FPN.RPN_COLLECT_SCALE": "follows from the batch",
    "MRCNN.CONV_INIT": "convolutions of heads start as He et al. 2015 have it", "MRCNN.THRESH_BINARIZE": "it is 0.5",
    "MRCNN.MEMORY_EFFICIENT_LOSS": "has no effect on results",
    "KRCNN.CONV_INIT": "convolutions of heads start as He et al. 2015 have it",
    "KRCNN.NUM_KEYPOINTS": "keypoints are counted in the data set", "KRCNN.NMS_OKS": "NMS is of boxes",
    "KRCNN.KEYPOINT_CONFIDENCE": "an object's score is its box's",
    "KRCNN.MIN_KEYPOINT_COUNT_FOR_VALID_MINIBATCH": "a batch with few keypoints is trained on",
    "TRAIN.ASPECT_GROUPING": "images of like shapes are always together",
    "TRAIN.CROWD_FILTER_THRESH": "RoIs inside a crowd are background",
    "TRAIN.AUTO_RESUME": "--resume does it", "TRAIN.TRIM_HEIGHT": "of no use there",
    "TRAIN.TRIM_WIDTH": "of no use there",
    "TRAIN.BBOX_NORMALIZE_": "targets are scaled by MODEL.BBOX_REG_WEIGHTS",
    "TRAIN.BBOX_INSIDE_WEIGHTS": "of no use there",
    "DATA_LOADER.MINIBATCH_QUEUE_SIZE": "has no effect on results",
    "DATA_LOADER.BLOBS_QUEUE_CAPACITY": "has no effect on results",
    "TEST.WEIGHTS": "predict.py takes weights by --load", "TEST.PROPOSAL_FILES": "proposals are the RPN's",
    "TEST.PROPOSAL_LIMIT": "proposals are the RPN's", "TEST.PRECOMPUTED_PROPOSALS": "proposals are the RPN's",
    "TEST.BBOX_REG": "boxes are always refined", "TEST.RPN_MIN_SIZE": "RPN.MIN_SIZE is for training and tests",
    "TEST.COMPETITION_MODE": "results are always kept", "TEST.FORCE_JSON_DATASET_EVAL": "a data set has its own metric",
    "TEST.BBOX_AUG.": "a test takes an image once", "TEST.MASK_AUG.": "a test takes an image once",
    "TEST.KPS_AUG.": "a test takes an image once", "TEST.SOFT_NMS.": "NMS is not soft",
    "TEST.BBOX_VOTE.": "boxes do not vote",
    "SOLVER.SCALE_MOMENTUM_THRESHOLD": "momentum follows the rate", "SOLVER.LOG_LR_CHANGE_THRESHOLD": "of its log",
    "RETINANET.": "there is no RetinaNet", "RFCN.": "there is no R-FCN", "CLUSTER.": "of no use there",
    "OUTPUT_DIR": "--logdir says it", "ROOT_DIR": "DATA.BASEDIR has the data", "DATA_DIR": "DATA.BASEDIR has the data",
    "USE_NCCL": "has no effect on results", "MEMONGER": "of Caffe2", "MEMONGER_SHARE_ACTIVATIONS": "of Caffe2",
    "DEDUP_BOXES": "of no use with an RPN", "EPS": "of no use there", "MATLAB": "of no use here",
    "VIS": "predict.py draws",
    "EXPECTED_RESULTS": "of its tests", "EXPECTED_RESULTS_RTOL": "of its tests",
    "EXPECTED_RESULTS_ATOL": "of its tests",
    "EXPECTED_RESULTS_EMAIL": "of its tests", "DOWNLOAD_CACHE": "nothing is fetched", "POOLING_MODE": "of no use there",
    "POOLING_SIZE": "of no use there", "CUDA": "follows from the machine", "DEBUG": "has no effect on results",
    "PYTORCH_VERSION_LESS_THAN_040": "follows from the machine",
    # which Detectron itself passes over
    "FINAL_MSG": "of no use there", "MODEL.DILATION": "of no use there", "ROOT_GPU_ID": "of no use there",
    "RPN.ON": "of no use there", "TRAIN.DROPOUT": "of no use there", "USE_GPU_NMS": "of no use there",
    "TEST.NUM_TEST_IMAGES": "of no use there"}

POOLINGS = {"RoIAlign": "RoIAlign", "RoIPoolF": "RoIPool", "RoIPool": "RoIPool", "RoICrop": "RoICrop"}
BOX_HEADS = {"roi_2mlp_head": "fastrcnn_2fc_head", "roi_Xconv1fc_head": "fastrcnn_4conv1fc_head",
             "roi_Xconv1fc_gn_head": "fastrcnn_4conv1fc_gn_head"}
MASK_HEADS = ("v1up4convs", "v1up", "v0upshare", "v0up", "v1up4convs_gn")

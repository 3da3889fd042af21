"""The keys of Detectron2."""
from settings.dialects import shared
from settings.dialects.theirs import Fixed

NAME = "Detectron2"
VARIANTS = {}

COPIED = {
    "MODEL.MASK_ON": "MODE_MASK", "MODEL.KEYPOINT_ON": "MODE_KEYPOINT", "MODEL.FPN.OUT_CHANNELS": "FPN.NUM_CHANNEL",
    "MODEL.RESNETS.NUM_GROUPS": "BACKBONE.RESNEXT_GROUPS", "MODEL.RESNETS.WIDTH_PER_GROUP": "BACKBONE.RESNEXT_WIDTH",
    "MODEL.RESNETS.STRIDE_IN_1X1": "BACKBONE.STRIDE_1X1", "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": "RPN.MIN_SIZE",
    "MODEL.RPN.BOUNDARY_THRESH": "RPN.STRADDLE_THRESH", "MODEL.RPN.BATCH_SIZE_PER_IMAGE": "RPN.BATCH_PER_IM",
    "MODEL.RPN.POSITIVE_FRACTION": "RPN.FG_RATIO", "MODEL.RPN.NMS_THRESH": "RPN.PROPOSAL_NMS_THRESH",
    "MODEL.RPN.SMOOTH_L1_BETA": "RPN.SMOOTH_L1_BETA", "MODEL.RPN.BBOX_REG_LOSS_WEIGHT": "RPN.LOSS_BBOX_WEIGHT",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "FRCNN.BATCH_PER_IM", "MODEL.ROI_HEADS.POSITIVE_FRACTION": "FRCNN.FG_RATIO",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "TEST.RESULT_SCORE_THRESH",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "TEST.FRCNN_NMS_THRESH", "TEST.DETECTIONS_PER_IMAGE": "TEST.RESULTS_PER_IM",
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": "FRCNN.BBOX_REG_WEIGHTS",
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": "FRCNN.SMOOTH_L1_BETA",
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT": "FRCNN.LOSS_BBOX_WEIGHT",
    "MODEL.ROI_BOX_HEAD.FC_DIM": "FPN.FRCNN_FC_HEAD_DIM", "MODEL.ROI_BOX_HEAD.CONV_DIM": "FPN.FRCNN_CONV_HEAD_DIM",
    "MODEL.ROI_MASK_HEAD.CONV_DIM": "MRCNN.HEAD_DIM", "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": "MRCNN.CLASS_AGNOSTIC",
    "MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT": "KRCNN.LOSS_WEIGHT",
    "MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS": "KRCNN.NORMALIZE_BY_VISIBLE",
    "TEST.KEYPOINT_OKS_SIGMAS": "TEST.OKS_SIGMAS", "DATALOADER.FILTER_EMPTY_ANNOTATIONS": "DATA.FILTER_EMPTY",
    "SOLVER.MOMENTUM": "TRAIN.MOMENTUM", "SOLVER.WEIGHT_DECAY": "TRAIN.WEIGHT_DECAY",
    "SOLVER.BIAS_LR_FACTOR": "TRAIN.BIAS_LR_FACTOR"}

LEVELS = ("res2", "res3", "res4", "res5")
DEFAULTS = {
    "MODEL.MASK_ON": False, "MODEL.KEYPOINT_ON": False, "MODEL.WEIGHTS": "",
    "MODEL.PIXEL_MEAN": (103.53, 116.28, 123.675), "MODEL.PIXEL_STD": (1.0, 1.0, 1.0),
    "MODEL.BACKBONE.NAME": "build_resnet_backbone", "MODEL.BACKBONE.FREEZE_AT": 2,
    "MODEL.FPN.OUT_CHANNELS": 256, "MODEL.FPN.NORM": "", "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": 0.0,
    "MODEL.ANCHOR_GENERATOR.SIZES": ((32, 64, 128, 256, 512),),
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": ((0.5, 1.0, 2.0),),
    "MODEL.ANCHOR_GENERATOR.OFFSET": 0.0,
    "MODEL.RPN.BOUNDARY_THRESH": -1.0, "MODEL.RPN.IOU_THRESHOLDS": (0.3, 0.7), "MODEL.RPN.BATCH_SIZE_PER_IMAGE": 256,
    "MODEL.RPN.POSITIVE_FRACTION": 0.5, "MODEL.RPN.BBOX_REG_LOSS_TYPE": "smooth_l1",
    "MODEL.RPN.BBOX_REG_LOSS_WEIGHT": 1.0,
    "MODEL.RPN.SMOOTH_L1_BETA": 0.0, "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 12000, "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000, "MODEL.RPN.POST_NMS_TOPK_TEST": 1000, "MODEL.RPN.NMS_THRESH": 0.7,
    "MODEL.RPN.CONV_DIMS": (-1,),
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads", "MODEL.ROI_HEADS.IOU_THRESHOLDS": (0.5,),
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 512, "MODEL.ROI_HEADS.POSITIVE_FRACTION": 0.25,
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.05, "MODEL.ROI_HEADS.NMS_THRESH_TEST": 0.5,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": "smooth_l1", "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT": 1.0,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": (10.0, 10.0, 5.0, 5.0), "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 0.0,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 0, "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 0, "MODEL.ROI_BOX_HEAD.FC_DIM": 1024, "MODEL.ROI_BOX_HEAD.NUM_CONV": 0,
    "MODEL.ROI_BOX_HEAD.CONV_DIM": 256, "MODEL.ROI_BOX_HEAD.NORM": "",
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": False,
    "MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS": ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0),
                                                    (30.0, 30.0, 15.0, 15.0)),
    "MODEL.ROI_BOX_CASCADE_HEAD.IOUS": (0.5, 0.6, 0.7),
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": 0, "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_MASK_HEAD.NUM_CONV": 0, "MODEL.ROI_MASK_HEAD.CONV_DIM": 256, "MODEL.ROI_MASK_HEAD.NORM": "",
    "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": False,
    "MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO": 0, "MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS": (512,) * 8, "MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT": 1.0,
    "MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS": True,
    "MODEL.RESNETS.DEPTH": 50, "MODEL.RESNETS.NUM_GROUPS": 1, "MODEL.RESNETS.NORM": "FrozenBN",
    "MODEL.RESNETS.WIDTH_PER_GROUP": 64, "MODEL.RESNETS.STRIDE_IN_1X1": True,
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": (False, False, False, False),
    "INPUT.MIN_SIZE_TRAIN": (800,), "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice", "INPUT.MAX_SIZE_TRAIN": 1333,
    "INPUT.MIN_SIZE_TEST": 800, "INPUT.MAX_SIZE_TEST": 1333, "INPUT.RANDOM_FLIP": "horizontal",
    "INPUT.CROP.ENABLED": False, "INPUT.CROP.TYPE": "relative_range", "INPUT.CROP.SIZE": (0.9, 0.9),
    "INPUT.FORMAT": "BGR", "DATASETS.TRAIN": (), "DATASETS.TEST": (), "DATALOADER.NUM_WORKERS": 4,
    "DATALOADER.FILTER_EMPTY_ANNOTATIONS": True,
    "SOLVER.MAX_ITER": 40000, "SOLVER.BASE_LR": 0.001, "SOLVER.MOMENTUM": 0.9, "SOLVER.WEIGHT_DECAY": 0.0001,
    "SOLVER.STEPS": (30000,), "SOLVER.WARMUP_FACTOR": 0.001, "SOLVER.WARMUP_ITERS": 1000,
    "SOLVER.CHECKPOINT_PERIOD": 5000,
    "SOLVER.IMS_PER_BATCH": 16, "SOLVER.REFERENCE_WORLD_SIZE": 0, "SOLVER.BIAS_LR_FACTOR": 1.0,
    "SOLVER.WEIGHT_DECAY_BIAS": None, "SOLVER.CLIP_GRADIENTS.ENABLED": False,
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "value",
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": 1.0, "SOLVER.CLIP_GRADIENTS.NORM_TYPE": 2.0, "SOLVER.AMP.ENABLED": False,
    "TEST.EVAL_PERIOD": 0, "TEST.KEYPOINT_OKS_SIGMAS": (), "TEST.DETECTIONS_PER_IMAGE": 100, "SEED": -1}

ALWAYS_FIXED = {
    "VERSION": Fixed(2, (2,), "version 1 has other names of keys; load and save it with Detectron2"),
    "MODEL.META_ARCHITECTURE": Fixed("GeneralizedRCNN", ("GeneralizedRCNN",), "there is no other kind of model"),
    "MODEL.LOAD_PROPOSALS": Fixed(False, (False,), "proposals are those of the RPN that is trained along"),
    "MODEL.PROPOSAL_GENERATOR.NAME": Fixed("RPN", ("RPN",), "proposals are those of the RPN that is trained along"),
    "MODEL.ANCHOR_GENERATOR.NAME": Fixed("DefaultAnchorGenerator", ("DefaultAnchorGenerator",),
                                         "boxes are not rotated"),
    "MODEL.RPN.HEAD_NAME": Fixed("StandardRPNHead", ("StandardRPNHead",), "there is one"),
    "MODEL.RPN.IOU_LABELS": Fixed((0, -1, 1), ((0, -1, 1),), "there are background, neither and foreground"),
    "MODEL.RPN.BBOX_REG_WEIGHTS": Fixed((1.0,) * 4, ((1,) * 4,), "the RPN's targets are not scaled"),
    "MODEL.RPN.LOSS_WEIGHT": Fixed(1.0, (1,), "the RPN's class loss has the weight 1; there is BBOX_REG_LOSS_WEIGHT"),
    "MODEL.ROI_HEADS.IOU_LABELS": Fixed((0, 1), ((0, 1),), "there are background and foreground"),
    "MODEL.ROI_HEADS.PROPOSAL_APPEND_GT": Fixed(True, (True,), "objects are among the RoIs"),
    "MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES": Fixed(False, (False,), "mask heads are trained on proposals"),
    "MODEL.ROI_BOX_HEAD.USE_FED_LOSS": Fixed(False, (False,), "the class loss is of all classes"),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": Fixed(False, (False,), "the class loss is a softmax"),
    "MODEL.RESNETS.RES5_DILATION": Fixed(1, (1,), "convolutions are not dilated"),
    "MODEL.RESNETS.RES2_OUT_CHANNELS": Fixed(256, (256,), "a stem of 64 channels is followed by 256"),
    "MODEL.RESNETS.STEM_OUT_CHANNELS": Fixed(64, (64,), "a stem of 64 channels is followed by 256"),
    "DATASETS.PROPOSAL_FILES_TRAIN": Fixed((), ((),), "proposals are those of the RPN that is trained along"),
    "DATALOADER.SAMPLER_TRAIN": Fixed("TrainingSampler", ("TrainingSampler",), "all images are drawn alike"),
    "SOLVER.LR_SCHEDULER_NAME": Fixed("WarmupMultiStepLR", ("WarmupMultiStepLR",), "the rate falls at steps"),
    "SOLVER.NESTEROV": Fixed(False, (False,), "momentum is plain"),
    "SOLVER.WEIGHT_DECAY_NORM": Fixed(0.0, (0,), "norms do not decay"),
    "SOLVER.GAMMA": Fixed(0.1, (0.1,), "the rate falls tenfold"),
    "SOLVER.WARMUP_METHOD": Fixed("linear", ("linear",), "a warm-up is linear")}
PYRAMID_FIXED = {
    "MODEL.BACKBONE.NAME": Fixed("build_resnet_backbone", ("build_resnet_fpn_backbone",),
                                 "such heads stand on a pyramid"),
    "MODEL.RESNETS.OUT_FEATURES": Fixed(("res4",), (LEVELS,), "the pyramid is of conv2 to conv5"),
    "MODEL.FPN.IN_FEATURES": Fixed((), (LEVELS,), "the pyramid is of conv2 to conv5"),
    "MODEL.FPN.FUSE_TYPE": Fixed("sum", ("sum",), "levels are added"),
    "MODEL.RPN.IN_FEATURES": Fixed(("res4",), (("p2", "p3", "p4", "p5", "p6"),), "anchors are of the levels 2 to 6"),
    "MODEL.ROI_HEADS.IN_FEATURES": Fixed(("res4",), (("p2", "p3", "p4", "p5"),), "RoIs are of the levels 2 to 5"),
    "MODEL.ROI_BOX_HEAD.NAME": Fixed("", ("FastRCNNConvFCHead",), "there is one"),
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": Fixed(14, (7,), "the head takes 7 x 7 bins")}
C4_FIXED = {
    "MODEL.BACKBONE.NAME": Fixed("build_resnet_backbone", ("build_resnet_backbone",), "conv5 stands on one level"),
    "MODEL.RESNETS.OUT_FEATURES": Fixed(("res4",), (("res4",),), "conv5 stands on conv4"),
    "MODEL.RPN.IN_FEATURES": Fixed(("res4",), (("res4",),), "conv5 stands on conv4"),
    "MODEL.ROI_HEADS.IN_FEATURES": Fixed(("res4",), (("res4",),), "conv5 stands on conv4"),
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": Fixed(14, (14,), "conv5 takes 14 x 14 bins")}
MASK_FIXED = {
    "MODEL.ROI_MASK_HEAD.NAME": Fixed("MaskRCNNConvUpsampleHead", ("MaskRCNNConvUpsampleHead",), "there is one"),
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": Fixed(14, (14,), "mask heads take 14 x 14 bins")}
KEYPOINT_FIXED = {
    "MODEL.ROI_KEYPOINT_HEAD.NAME": Fixed("KRCNNConvDeconvUpsampleHead", ("KRCNNConvDeconvUpsampleHead",),
                                          "there is one"),
    "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION": Fixed(14, (14,), "the head takes 14 x 14 bins"),
    "MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE": Fixed(1, (1,), "images with one keypoint are trained on")}
FIXED = (ALWAYS_FIXED, C4_FIXED, PYRAMID_FIXED, MASK_FIXED, KEYPOINT_FIXED)

IGNORED = {
    "MODEL.DEVICE": "GPUs are used where there are any",
    "MODEL.ROI_HEADS.NUM_CLASSES": "classes are counted in the data set",
    "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS": "keypoints are counted in the data set",
    "MODEL.ANCHOR_GENERATOR.ANGLES": "boxes are not rotated", "MODEL.RESNETS.DEFORM_MODULATED": "nothing is deformable",
    "MODEL.RESNETS.DEFORM_NUM_GROUPS": "nothing is deformable", "MODEL.ROI_BOX_HEAD.FED_LOSS_": "it is not used",
    "MODEL.SEM_SEG_HEAD.": "there is no such head", "MODEL.PANOPTIC_FPN.": "there is no such model",
    "MODEL.RETINANET.": "there is no RetinaNet", "INPUT.MASK_FORMAT": "masks are read in any format",
    "DATASETS.PROPOSAL_FILES_TEST": "proposals are the RPN's", "DATASETS.PRECOMPUTED_": "proposals are the RPN's",
    "DATALOADER.ASPECT_RATIO_GROUPING": "images of like shapes are always together",
    "DATALOADER.REPEAT_": "all images are drawn alike",
    "SOLVER.BASE_LR_END": "of another schedule", "SOLVER.NUM_DECAYS": "of another schedule",
    "SOLVER.RESCALE_INTERVAL": "of another schedule",
    "TEST.EXPECTED_RESULTS": "of its tests", "TEST.AUG.": "a test takes an image once",
    "TEST.PRECISE_BN.": "statistics are those of the training", "OUTPUT_DIR": "--logdir says it",
    "CUDNN_BENCHMARK": "has no effect on results", "VIS_PERIOD": "data.show draws", "FLOAT32_PRECISION": "of PyTorch",
    "GLOBAL.": "of no use there"}

NORMS = {"": "None", "GN": "GN", "SyncBN": "SyncBN"}
HEAD_NORMS = {"": "", "GN": "gn_", "SyncBN": "bn_"}
LOSSES = {key: kind for key, kind in shared.LOSSES.items() if key in ("smooth_l1", "giou", "diou", "ciou")}
HEADS = {"Res5ROIHeads": "C4", "StandardROIHeads": "pyramid", "CascadeROIHeads": "cascade"}

"""Configs as users of other projects write them: 24 of four dialects, with what they stand for here."""
import yaml

COCO_2014 = {"TRAIN.DATASETS": "('coco_2014_train', 'coco_2014_valminusminival')",
"TEST.DATASETS": "('coco_2014_minival',)"}
D_SOLVER = {
    "NUM_GPUS": 8, "SOLVER.WEIGHT_DECAY": "1e-4", "SOLVER.LR_POLICY": "steps_with_decay", "SOLVER.BASE_LR": 0.02,
    "SOLVER.MAX_ITER": 90000, "SOLVER.STEPS": [0, 60000, 80000]}
D_IMAGES = {
    "TRAIN.SCALES": "(800,)", "TRAIN.MAX_SIZE": 1333, "TEST.SCALE": 800, "TEST.MAX_SIZE": 1333, "TEST.NMS": 0.5,
    "TRAIN.BATCH_SIZE_PER_IM": 512}
D_FPN = {
    "MODEL.TYPE": "generalized_rcnn", "MODEL.CONV_BODY": "FPN.add_fpn_ResNet50_conv5_body", "MODEL.NUM_CLASSES": 81,
    "MODEL.FASTER_RCNN": True, "FPN.FPN_ON": True, "FPN.MULTILEVEL_ROIS": True, "FPN.MULTILEVEL_RPN": True,
    "FAST_RCNN.ROI_BOX_HEAD": "fast_rcnn_heads.add_roi_2mlp_head", "FAST_RCNN.ROI_XFORM_METHOD": "RoIAlign",
    "FAST_RCNN.ROI_XFORM_RESOLUTION": 7, "FAST_RCNN.ROI_XFORM_SAMPLING_RATIO": 2, "TRAIN.RPN_PRE_NMS_TOP_N": 2000,
    "TEST.RPN_PRE_NMS_TOP_N": 1000, "TEST.RPN_POST_NMS_TOP_N": 1000,
    "TRAIN.WEIGHTS": "https://example.org/R-50.pkl", **COCO_2014, **D_SOLVER, **D_IMAGES}
D_MASK = {
    "MODEL.MASK_ON": True, "MRCNN.ROI_MASK_HEAD": "mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs",
    "MRCNN.RESOLUTION": 28,
    "MRCNN.ROI_XFORM_METHOD": "RoIAlign", "MRCNN.ROI_XFORM_RESOLUTION": 14, "MRCNN.ROI_XFORM_SAMPLING_RATIO": 2,
    "MRCNN.DILATION": 1, "MRCNN.CONV_INIT": "MSRAFill"}
D_KEYPOINT = {
    "MODEL.KEYPOINTS_ON": True, "MODEL.NUM_CLASSES": 2, "KRCNN.NUM_KEYPOINTS": 17, "KRCNN.USE_DECONV_OUTPUT": True,
    "KRCNN.ROI_KEYPOINTS_HEAD": "keypoint_rcnn_heads.add_roi_pose_head_v1convX", "KRCNN.CONV_HEAD_DIM": 512,
    "KRCNN.UP_SCALE": 2, "KRCNN.HEATMAP_SIZE": 56, "KRCNN.ROI_XFORM_RESOLUTION": 14,
    "KRCNN.ROI_XFORM_SAMPLING_RATIO": 2,
    "TRAIN.SCALES": "(640, 672, 704, 736, 768, 800)", "TRAIN.DATASETS": "('keypoints_coco_2014_train',)"}
D_C4 = {
    **{key: value for key, value in D_FPN.items() if not key.startswith(("FPN.", "TRAIN.RPN", "TEST.RPN"))},
    "MODEL.CONV_BODY": "ResNet.add_ResNet101_conv4_body", "FAST_RCNN.ROI_BOX_HEAD": "ResNet.add_ResNet_roi_conv5_head",
    "FAST_RCNN.ROI_XFORM_RESOLUTION": 14, "FAST_RCNN.ROI_XFORM_SAMPLING_RATIO": 0,
    "RPN.SIZES": "(32, 64, 128, 256, 512)", "TRAIN.IMS_PER_BATCH": 1, "SOLVER.BASE_LR": 0.01, "SOLVER.MAX_ITER": 180000,
    "SOLVER.STEPS": [0, 120000, 160000], "TEST.RPN_PRE_NMS_TOP_N": 6000, "TEST.RPN_POST_NMS_TOP_N": 1000}
D_GN = {
    "RESNETS.STRIDE_1X1": False, "RESNETS.TRANS_FUNC": "bottleneck_gn_transformation",
    "RESNETS.STEM_FUNC": "basic_gn_stem",
    "RESNETS.SHORTCUT_FUNC": "basic_gn_shortcut", "FPN.USE_GN": True, "TRAIN.FREEZE_AT": 0,
    "FAST_RCNN.ROI_BOX_HEAD": "fast_rcnn_heads.add_roi_Xconv1fc_gn_head",
    "MRCNN.ROI_MASK_HEAD": "mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs_gn"}
D_VGG = {
    **D_C4, "MODEL.CONV_BODY": "VGG16.add_VGG16_conv5_body", "FAST_RCNN.ROI_BOX_HEAD": "VGG16.add_VGG16_roi_fc_head",
    "MODEL.NUM_CLASSES": 21, "FAST_RCNN.ROI_XFORM_METHOD": "RoIPoolF", "FAST_RCNN.ROI_XFORM_RESOLUTION": 7,
    "NUM_GPUS": 1,
    "TRAIN.DATASETS": "('voc_2007_trainval',)", "TEST.DATASETS": "('voc_2007_test',)", "SOLVER.LR_POLICY": "step",
    "SOLVER.STEP_SIZE": 30000, "SOLVER.MAX_ITER": 80000, "SOLVER.BASE_LR": 0.001, "SOLVER.WEIGHT_DECAY": 0.0005}
# Detectron.pytorch has the data sets on its command line, and names without "add_"
DP_FPN = {
    **{key: value for key, value in D_FPN.items() if key not in (*COCO_2014, "TRAIN.WEIGHTS")},
    "MODEL.CONV_BODY": "FPN.fpn_ResNet50_conv5_body", "FAST_RCNN.ROI_BOX_HEAD": "fast_rcnn_heads.roi_2mlp_head",
    "RESNETS.IMAGENET_PRETRAINED_WEIGHTS": "data/pretrained_model/resnet50_caffe.pth"}

MB_FPN = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN", "MODEL.WEIGHT": "catalog://ImageNetPretrained/MSRA/R-50",
    "MODEL.BACKBONE.CONV_BODY": "R-50-FPN", "MODEL.RESNETS.BACKBONE_OUT_CHANNELS": 256, "MODEL.RPN.USE_FPN": True,
    "MODEL.RPN.ANCHOR_STRIDE": "(4, 8, 16, 32, 64)", "MODEL.RPN.PRE_NMS_TOP_N_TRAIN": 2000,
    "MODEL.RPN.PRE_NMS_TOP_N_TEST": 1000, "MODEL.RPN.FPN_POST_NMS_TOP_N_TEST": 1000, "MODEL.ROI_HEADS.USE_FPN": True,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7, "MODEL.ROI_BOX_HEAD.POOLER_SCALES": "(0.25, 0.125, 0.0625, 0.03125)",
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 2, "MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR": "FPN2MLPFeatureExtractor",
    "MODEL.ROI_BOX_HEAD.PREDICTOR": "FPNPredictor", "DATALOADER.SIZE_DIVISIBILITY": 32,
    "DATASETS.TRAIN": '("coco_2017_train",)', "DATASETS.TEST": '("coco_2017_val",)', "SOLVER.BASE_LR": 0.02,
    "SOLVER.WEIGHT_DECAY": 0.0001, "SOLVER.STEPS": "(60000, 80000)", "SOLVER.MAX_ITER": 90000}
MB_MASK = {
    "MODEL.MASK_ON": True, "MODEL.ROI_MASK_HEAD.FEATURE_EXTRACTOR": "MaskRCNNFPNFeatureExtractor",
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": 2, "MODEL.ROI_MASK_HEAD.RESOLUTION": 28,
    "MODEL.ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR": False}
MB_KEYPOINT = {
    "MODEL.KEYPOINT_ON": True, "MODEL.ROI_BOX_HEAD.NUM_CLASSES": 2, "MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO": 2,
    "MODEL.ROI_KEYPOINT_HEAD.RESOLUTION": 56, "MODEL.ROI_KEYPOINT_HEAD.SHARE_BOX_FEATURE_EXTRACTOR": False,
    "DATASETS.TRAIN": '("keypoints_coco_2017_train",)', "INPUT.MIN_SIZE_TRAIN": "(640, 800)"}
MB_C4_VOC = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN", "MODEL.WEIGHT": "catalog://ImageNetPretrained/MSRA/R-50",
    "MODEL.RPN.POST_NMS_TOP_N_TEST": 300, "MODEL.RPN.ANCHOR_SIZES": "(128, 256, 512)",
    "MODEL.ROI_BOX_HEAD.NUM_CLASSES": 21,
    "DATASETS.TRAIN": '("voc_2007_train_cocostyle",)', "DATASETS.TEST": '("voc_2007_val",)', "SOLVER.BASE_LR": 0.004,
    "SOLVER.STEPS": "(17500, )", "SOLVER.MAX_ITER": 27500, "SOLVER.IMS_PER_BATCH": 4, "TEST.IMS_PER_BATCH": 4}
MB_GN = {
    "MODEL.RESNETS.STRIDE_IN_1X1": False, "MODEL.RESNETS.TRANS_FUNC": "BottleneckWithGN",
    "MODEL.RESNETS.STEM_FUNC": "StemWithGN", "MODEL.FPN.USE_GN": True, "MODEL.ROI_BOX_HEAD.USE_GN": True,
    "MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR": "FPNXconv1fcFeatureExtractor", "MODEL.ROI_MASK_HEAD.USE_GN": True}

D2_C4_BASE = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN", "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "DATASETS.TRAIN": '("coco_2017_train",)', "DATASETS.TEST": '("coco_2017_val",)', "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.BASE_LR": 0.02, "SOLVER.STEPS": "(60000, 80000)", "SOLVER.MAX_ITER": 90000,
    "INPUT.MIN_SIZE_TRAIN": "(640, 672, 704, 736, 768, 800)", "VERSION": 2}
D2_FPN_BASE = {
    **D2_C4_BASE, "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
    "MODEL.RESNETS.OUT_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]], "MODEL.RPN.IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"],
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000, "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000, "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
    "MODEL.ROI_HEADS.NAME": "StandardROIHeads", "MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p3", "p4", "p5"],
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7, "MODEL.ROI_MASK_HEAD.NUM_CONV": 4}
D2_LONG = {"SOLVER.STEPS": "(210000, 250000)", "SOLVER.MAX_ITER": 270000}
D2_MASK = {"MODEL.MASK_ON": True, "MODEL.WEIGHTS": "detectron2://ImageNetPretrained/MSRA/R-50.pkl"}

# by what each is: what the file says, and some of what it stands for here
FILES = {
    "Detectron R50 FPN": (D_FPN, {
        "MODE_MASK": False, "MODE_FPN": True, "FPN.P2_ONLY": False, "RPN.ANCHOR_SIZES": (32, 64, 128, 256, 512),
        "TRAIN.LR_SCHEDULE": (120000, 160000, 180000), "TRAIN.BASE_LR": 0.01, "TRAIN.WARMUP": 500,
        "TRAIN.WARMUP_INIT_LR": 0.02 / 3, "TRAIN.IMS_PER_GPU": 2, "TRAIN.BIAS_LR_FACTOR": 2.0,
        "TRAIN.WEIGHT_DECAY": 1e-4,
        "DATA.TRAIN": ("train2014", "valminusminival2014"), "DATA.VAL": ("minival2014",), "BACKBONE.WEIGHTS": "",
        "RPN.TRAIN_PER_LEVEL_NMS_TOPK": 2000, "RPN.TRAIN_ALL_LEVELS_TOPK": 1000, "RPN.TEST_ALL_LEVELS_TOPK": 1000}),
    "Detectron R50 FPN, mask": ({**D_FPN, **D_MASK}, {
        "MODE_MASK": True, "MRCNN.HEAD": "v1up4convs", "MRCNN.CLASS_AGNOSTIC": False, "FRCNN.POOLING": "RoIAlign",
        "FRCNN.POOL_SAMPLES": 2,
        "FRCNN.POOL_SHIFTED": False, "PREPROC.PIXEL_MEAN": (122.7717, 115.9465, 102.9801), "BACKBONE.STRIDE_1X1": True,
        "BACKBONE.FREEZE_AFFINE": True, "FRCNN.SMOOTH_L1_BETA": 1.0, "RPN.SMOOTH_L1_BETA": 1 / 9,
        "RPN.CROWD_OVERLAP_THRESH": 9.99, "FRCNN.MAX_BOX_GROWTH": 62.5, "TEST.FRCNN_NMS_THRESH": 0.5}),
    "Detectron R50 FPN, keypoints": ({**D_FPN, **D_KEYPOINT}, {
        "MODE_KEYPOINT": True, "MODE_MASK": False, "KRCNN.NUM_CONVS": 8, "KRCNN.HEAD_DIM": 512,
        "KRCNN.LOSS_WEIGHT": 1.0,
        "KRCNN.NORMALIZE_BY_VISIBLE": True, "DATA.TRAIN": ("person_keypoints_train2014",),
        "PREPROC.TRAIN_SHORT_EDGES": (640, 672, 704, 736, 768, 800)}),
    "Detectron R101 C4, mask": ({
        **D_C4, **D_MASK, "MRCNN.ROI_MASK_HEAD": "mask_rcnn_heads.mask_rcnn_fcn_head_v0upshare", "MRCNN.RESOLUTION": 14,
        "TEST.SCALES": "(600,)"}, {
            "MODE_FPN": False, "BACKBONE.RESNET_NUM_BLOCKS": (3, 4, 23, 3), "MRCNN.HEAD": "v0upshare",
            "FRCNN.POOL_SAMPLES": 0, "RPN.HEAD_DIM": 1024, "RPN.TRAIN_PRE_NMS_TOPK": 12000,
            "RPN.TEST_POST_NMS_TOPK": 1000, "TRAIN.LR_SCHEDULE": (120000, 160000, 180000), "TRAIN.BASE_LR": 0.01,
            "TRAIN.IMS_PER_GPU": 1, "PREPROC.TEST_SHORT_EDGE_SIZE": 600}),
    "Detectron X101 64x4d FPN": ({
        **D_FPN, "MODEL.CONV_BODY": "FPN.add_fpn_ResNet101_conv5_body", "RESNETS.NUM_GROUPS": 64, "NUM_GPUS": 2,
        "RESNETS.WIDTH_PER_GROUP": 4, "RESNETS.STRIDE_1X1": False}, {
            "BACKBONE.RESNEXT_GROUPS": 64, "BACKBONE.RESNEXT_WIDTH": 4, "BACKBONE.STRIDE_1X1": False,
            "TRAIN.LR_SCHEDULE": (30000, 40000, 45000), "TRAIN.BASE_LR": 0.04}),
    "Detectron R50 FPN with GN, mask": ({**D_FPN, **D_MASK, **D_GN}, {
        "BACKBONE.NORM": "GN", "BACKBONE.FREEZE_AFFINE": False, "BACKBONE.FREEZE_AT": 0, "FPN.NORM": "GN",
        "FPN.FRCNN_HEAD_FUNC": "fastrcnn_4conv1fc_gn_head", "FPN.MRCNN_HEAD_FUNC": "maskrcnn_up4conv_gn_head",
        "FPN.HEAD_NORM_FIRST": True, "MRCNN.HEAD": "v1up4convs"}),
    "Detectron R50 P2 only": ({
        **D_FPN, "MODEL.CONV_BODY": "FPN.add_fpn_ResNet50_conv5_P2only_body", "FPN.MULTILEVEL_ROIS": False,
        "FPN.MULTILEVEL_RPN": False, "RPN.STRIDE": 4, "RPN.SIZES": [32, 64, 128]}, {
            "FPN.P2_ONLY": True, "MODE_FPN": True, "RPN.ANCHOR_SIZES": (32, 64, 128), "RPN.TRAIN_PRE_NMS_TOPK": 2000}),
    "Detectron VGG16 on VOC": (D_VGG, {
        "BACKBONE.NAME": "VGG16", "MODE_FPN": False, "FRCNN.POOLING": "RoIPool", "RPN.HEAD_DIM": 512,
        "DATA.TRAIN": ("voc_2007_trainval",), "DATA.VAL": ("voc_2007_test",), "TRAIN.BASE_LR": 0.008,
        "TRAIN.LR_SCHEDULE": (3750, 7500, 10000), "TRAIN.WEIGHT_DECAY": 5e-4}),
    "Detectron.pytorch R50 FPN, cropped": ({
        **DP_FPN, "TRAIN.ASPECT_CROPPING": True, "TRAIN.ASPECT_HI": 3, "SOLVER.TYPE": "SGD",
        "SOLVER.BIAS_DOUBLE_LR": False,
        "SOLVER.BIAS_WEIGHT_DECAY": True, "FAST_RCNN.ROI_XFORM_METHOD": "RoICrop", "TRAIN.MAX_SIZE": 1000}, {
            "DATA.TRAIN": ("train2017",), "BACKBONE.WEIGHTS": "data/pretrained_model/resnet50_caffe.pth",
            "PREPROC.ASPECT_CROPPING": True, "PREPROC.ASPECT_LIMITS": (0.5, 3.0), "TRAIN.BIAS_LR_FACTOR": 1.0,
            "TRAIN.WEIGHT_DECAY_BIAS": 1e-4, "FRCNN.POOLING": "RoICrop", "FRCNN.POOL_SAMPLES": 2,
            "PREPROC.MAX_SIZE": 1000}),
    **{f"GIoU fork, {kind}": ({**DP_FPN, "MODEL.LOSS_TYPE": kind, "MODEL.LOSS_BBOX_WEIGHT": 10.0}, {
        "FRCNN.LOSS_TYPE": ours, "FRCNN.LOSS_BBOX_WEIGHT": 10.0, "RPN.LOSS_TYPE": "smooth_l1",
        "RPN.LOSS_BBOX_WEIGHT": 1.0})
       for kind, ours in {"sl1": "smooth_l1", "smooth_l1": "smooth_l1", "iou": "iou", "giou": "giou"}.items()},
    "GIoU fork, giou, RPN too, mask": ({
        **DP_FPN, **D_MASK, "MODEL.LOSS_TYPE": "giou", "MODEL.RPN_LOSS_TYPE": "giou",
        "MODEL.RPN_LOSS_BBOX_WEIGHT": 2}, {
            "FRCNN.LOSS_TYPE": "giou", "RPN.LOSS_TYPE": "giou", "RPN.LOSS_BBOX_WEIGHT": 2.0, "MODE_MASK": True}),
    "maskrcnn-benchmark R50 FPN, mask": ({**MB_FPN, **MB_MASK}, {
        "MODE_FPN": True, "MODE_MASK": True, "FPN.NUM_CHANNEL": 256, "FRCNN.POOL_SHIFTED": False,
        "FRCNN.POOL_SAMPLES": 2,
        "TRAIN.LR_SCHEDULE": (120000, 160000, 180000), "TRAIN.BASE_LR": 0.01, "TRAIN.IMS_PER_GPU": 2,
        "TRAIN.BIAS_LR_FACTOR": 2.0, "TRAIN.WEIGHT_DECAY_BIAS": 0.0, "DATA.TRAIN": ("train2017",),
        "RPN.TRAIN_ALL_LEVELS_TOPK": 1000, "RPN.TEST_ALL_LEVELS_TOPK": 1000, "FRCNN.SMOOTH_L1_BETA": 1.0}),
    "maskrcnn-benchmark R50 FPN, keypoints": ({**MB_FPN, **MB_KEYPOINT, "MODEL.RPN.FPN_POST_NMS_PER_BATCH": False}, {
        "MODE_KEYPOINT": True, "KRCNN.NUM_CONVS": 8, "KRCNN.HEAD_DIM": 512, "PREPROC.TRAIN_SHORT_EDGES": (640, 800),
        "DATA.TRAIN": ("person_keypoints_train2017",), "RPN.TRAIN_ALL_LEVELS_TOPK": 2000}),
    "maskrcnn-benchmark R50 C4 on VOC": (MB_C4_VOC, {
        "MODE_FPN": False, "RPN.ANCHOR_SIZES": (128, 256, 512), "RPN.TEST_POST_NMS_TOPK": 300, "TRAIN.IMS_PER_GPU": 1,
        "TRAIN.LR_SCHEDULE": (8750, 13750), "TRAIN.BASE_LR": 0.008, "TRAIN.WEIGHT_DECAY": 5e-4, "RPN.HEAD_DIM": 1024,
        "DATA.TRAIN": ("voc_2007_train",), "FRCNN.POOL_SAMPLES": 0}),
    "maskrcnn-benchmark R50 FPN with GN, mask, of torch's weights": ({
        **MB_FPN, **MB_MASK, **MB_GN, "INPUT.TO_BGR255": False, "INPUT.PIXEL_MEAN": [0.5, 0.4, 0.3],
        "INPUT.PIXEL_STD": [0.25, 0.2, 0.1], "DTYPE": "float16"}, {
            "BACKBONE.NORM": "GN", "FPN.FRCNN_HEAD_FUNC": "fastrcnn_4conv1fc_gn_head", "FPN.HEAD_NORM_FIRST": True,
            "FPN.MRCNN_HEAD_FUNC": "maskrcnn_up4conv_gn_head", "PREPROC.PIXEL_MEAN": (127.5, 102.0, 76.5),
            "PREPROC.PIXEL_STD": (63.75, 51.0, 25.5), "TRAIN.PRECISION": "float16"}),
    "Detectron2 R50 FPN, mask": ({**D2_FPN_BASE, **D2_MASK}, {
        "MODE_MASK": True, "TRAIN.LR_SCHEDULE": (120000, 160000, 180000), "TRAIN.BASE_LR": 0.01, "TRAIN.WARMUP": 1000,
        "TRAIN.WARMUP_INIT_LR": 2e-5, "RPN.SMOOTH_L1_BETA": 0.0, "FRCNN.SMOOTH_L1_BETA": 0.0,
        "RPN.STRADDLE_THRESH": -1.0,
        "FRCNN.POOL_SHIFTED": True, "FRCNN.POOL_SAMPLES": 0, "TRAIN.WEIGHT_DECAY_BIAS": 1e-4,
        "TRAIN.BIAS_LR_FACTOR": 1.0,
        "PREPROC.PIXEL_MEAN": (123.675, 116.28, 103.53), "PREPROC.PIXEL_STD": (1.0, 1.0, 1.0),
        "PREPROC.TRAIN_SHORT_EDGES": (640, 672, 704, 736, 768, 800), "RPN.TRAIN_ALL_LEVELS_TOPK": 1000}),
    "Detectron2 X101 32x8d FPN, mask": ({
        **D2_FPN_BASE, **D2_MASK, **D2_LONG, "MODEL.PIXEL_STD": [57.375, 57.12, 58.395], "MODEL.RESNETS.DEPTH": 101,
        "MODEL.RESNETS.NUM_GROUPS": 32, "MODEL.RESNETS.WIDTH_PER_GROUP": 8, "MODEL.RESNETS.STRIDE_IN_1X1": False}, {
            "BACKBONE.RESNET_NUM_BLOCKS": (3, 4, 23, 3), "BACKBONE.RESNEXT_GROUPS": 32, "BACKBONE.RESNEXT_WIDTH": 8,
            "PREPROC.PIXEL_STD": (58.395, 57.12, 57.375), "TRAIN.LR_SCHEDULE": (420000, 500000, 540000)}),
    "Detectron2 cascade, mask": ({
        **D2_FPN_BASE, **D2_MASK, "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000, "MODEL.ROI_BOX_CASCADE_HEAD.IOUS": [0.5, 0.75],
        "MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS": "((10, 10, 5, 5), (20, 20, 10, 10))"}, {
            "FPN.CASCADE": True, "CASCADE.IOUS": (0.5, 0.75), "RPN.TRAIN_ALL_LEVELS_TOPK": 2000,
            "CASCADE.BBOX_REG_WEIGHTS": ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0))}),
    "Detectron2 with SyncBN from nothing, 64 images": ({
        **D2_FPN_BASE, **D2_MASK, "MODEL.WEIGHTS": "", "MODEL.RESNETS.NORM": "SyncBN", "MODEL.FPN.NORM": "SyncBN",
        "MODEL.ROI_BOX_HEAD.NUM_CONV": 4, "MODEL.ROI_BOX_HEAD.NUM_FC": 1, "MODEL.ROI_BOX_HEAD.NORM": "SyncBN",
        "MODEL.ROI_MASK_HEAD.NORM": "SyncBN", "MODEL.BACKBONE.FREEZE_AT": 0, "MODEL.RPN.CONV_DIMS": [-1, -1],
        "SOLVER.IMS_PER_BATCH": 64, "SOLVER.STEPS": "(187500, 197500)", "SOLVER.MAX_ITER": 202500,
        "SOLVER.BASE_LR": 0.08,
        "SOLVER.AMP.ENABLED": True, "INPUT.MIN_SIZE_TRAIN": "(640, 800)", "INPUT.MIN_SIZE_TRAIN_SAMPLING": "range",
        "INPUT.CROP.ENABLED": True, "TEST.EVAL_PERIOD": 2500, "TEST.PRECISE_BN.ENABLED": True}, {
            "BACKBONE.NORM": "SyncBN", "BACKBONE.FREEZE_AT": 0, "FPN.NORM": "SyncBN", "RPN.NUM_CONVS": 2,
            "FPN.FRCNN_HEAD_FUNC": "fastrcnn_4conv1fc_bn_head", "FPN.MRCNN_HEAD_FUNC": "maskrcnn_up4conv_bn_head",
            "TRAIN.LR_SCHEDULE": (1500000, 1580000, 1620000), "TRAIN.BASE_LR": 0.01, "TRAIN.IMS_PER_GPU": 8,
            "TRAIN.PRECISION": "float16", "PREPROC.TRAIN_SHORT_EDGE_SIZE": (640, 800), "PREPROC.TRAIN_SHORT_EDGES": (),
            "PREPROC.RANDOM_CROP": (0.9, 1.0), "TRAIN.EVAL_PERIOD": 5}),
    "Detectron2 R50 FPN, keypoints": ({
        **D2_FPN_BASE, "MODEL.KEYPOINT_ON": True, "MODEL.ROI_HEADS.NUM_CLASSES": 1,
        "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 0.5,
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1500, "DATASETS.TRAIN": '("keypoints_coco_2017_train",)',
        "TEST.KEYPOINT_OKS_SIGMAS": [0.05, 0.1]}, {
            "MODE_KEYPOINT": True, "FRCNN.SMOOTH_L1_BETA": 0.5, "RPN.TRAIN_ALL_LEVELS_TOPK": 1500,
            "TEST.OKS_SIGMAS": (0.05, 0.1), "DATA.TRAIN": ("person_keypoints_train2017",)}),
    "Detectron2 R50 C4 on VOC": ({
        **D2_C4_BASE, "MODEL.ROI_HEADS.NUM_CLASSES": 20, "DATASETS.TRAIN": "('voc_2007_trainval', 'voc_2012_trainval')",
        "DATASETS.TEST": "('voc_2007_test',)", "SOLVER.STEPS": "(12000, 16000)", "SOLVER.MAX_ITER": 18000,
        "SOLVER.WARMUP_ITERS": 100, "INPUT.FORMAT": "RGB", "MODEL.PIXEL_MEAN": [1.0, 2.0, 3.0],
        "INPUT.RANDOM_FLIP": "none"}, {
            "MODE_FPN": False, "DATA.TRAIN": ("voc_2007_trainval", "voc_2012_trainval"), "TRAIN.WARMUP": 100,
            "TRAIN.LR_SCHEDULE": (24000, 32000, 36000), "PREPROC.PIXEL_MEAN": (1.0, 2.0, 3.0), "PREPROC.FLIP": 0.0,
            "RPN.ANCHOR_SIZES": (32, 64, 128, 256, 512), "RPN.TRAIN_POST_NMS_TOPK": 2000})}


def nested(flat):
    """Returns: dict of dicts, of dotted keys"""
    tree = {}
    for key, value in flat.items():
        *path, leaf = key.split(".")
        part = tree
        for name in path:
            part = part.setdefault(name, {})
        part[leaf] = value
    return tree


def write_yaml(path, flat):
    """Write dotted keys as a YAML file. Returns: str, the word that names it to --config"""
    path.write_text(yaml.safe_dump(nested(flat)), encoding="utf-8")
    return f"@{path}"

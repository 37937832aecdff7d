"""Small detectors of every kind that can be adapted, with random weights, and photos for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from tiny_rtdetr import tiny_rtdetr_cfg, tiny_twin
from torch import nn
from transformers import RTDetrImageProcessor

from derain_plugin.adapting.adapt import PipelineSample
from derain_plugin.adapting.early_blocks import build_early
from derain_plugin.adapting.front_filter import build_filter
from derain_plugin.adapting.frozen_detector import FrozenDetector, freeze

SIZE = (96, 64)  # width, height
MMDET: dict[str, tuple[str, dict[str, Any]]] = {
    "yolox": (
        "yolox/yolox_nano_8xb8-300e_coco.py",
        {
            "backbone.widen_factor": 0.125,
            "neck": dict(in_channels=[32, 64, 128], out_channels=16),
            "bbox_head": dict(in_channels=16, feat_channels=16, num_classes=2),
        },
    ),
    "rtmdet": (
        "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        {
            "backbone.widen_factor": 0.125,
            "backbone.init_cfg": None,
            "neck": dict(in_channels=[32, 64, 128], out_channels=16),
            "bbox_head": dict(in_channels=16, feat_channels=16, num_classes=2),
        },
    ),
    "retinanet": (
        "retinanet/retinanet_r18_fpn_1x_coco.py",
        {
            "backbone.init_cfg": None,
            "neck.out_channels": 16,
            "bbox_head": dict(in_channels=16, feat_channels=16, stacked_convs=1, num_classes=2),
        },
    ),
    "faster_rcnn": (
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        {
            "backbone": dict(depth=18, init_cfg=None),
            "neck.in_channels": [64, 128, 256, 512],
            "roi_head.bbox_head": dict(fc_out_channels=32, num_classes=2),
        },
    ),
    # Without a neck: one map, several, and one that a shared head makes smaller.
    "single_map": (
        "retinanet/retinanet_r18_fpn_1x_coco.py",
        {
            "backbone": dict(init_cfg=None, out_indices=(3,)),
            "neck": None,
            "bbox_head": dict(
                in_channels=512,
                feat_channels=16,
                stacked_convs=1,
                num_classes=2,
                anchor_generator=dict(strides=[32]),
            ),
        },
    ),
    "maps": (
        "retinanet/retinanet_r18_fpn_1x_coco.py",
        {
            "backbone": dict(
                _delete_=True,
                type="PyramidVisionTransformer",
                embed_dims=16,
                num_layers=[1, 1, 1, 1],
                num_heads=[1, 1, 1, 1],
                out_indices=(1, 2, 3),
            ),
            "neck": None,
            "bbox_head": dict(
                in_channels=16,
                feat_channels=16,
                stacked_convs=1,
                num_classes=2,
                anchor_generator=dict(strides=[8, 16, 32]),
            ),
        },
    ),
    "c4": (
        "faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py",
        {
            "backbone": dict(depth=18, init_cfg=None),
            "test_cfg.rcnn.score_thr": 0.0,
            "rpn_head": dict(in_channels=256, feat_channels=16),
            "roi_head": dict(
                shared_head=dict(depth=18, init_cfg=None),
                bbox_roi_extractor=dict(out_channels=256),
                bbox_head=dict(in_channels=512, num_classes=2),
            ),
        },
    ),
    "cornernet": (
        "cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py",
        {
            "backbone": dict(
                downsample_times=2,
                stage_channels=[8, 8, 8],
                stage_blocks=[1, 1, 1],
                feat_channel=8,
            ),
            "bbox_head": dict(in_channels=8, num_classes=2),
        },
    ),
    "swin": (
        "retinanet/retinanet_r18_fpn_1x_coco.py",
        {
            "backbone": dict(
                _delete_=True,
                type="SwinTransformer",
                embed_dims=16,
                depths=(2, 2, 2, 2),
                num_heads=(1, 2, 2, 2),
                drop_path_rate=0.0,
                out_indices=(1, 2, 3),
            ),
            "neck": dict(in_channels=[32, 64, 128], out_channels=16),
            "bbox_head": dict(in_channels=16, feat_channels=16, stacked_convs=1, num_classes=2),
        },
    ),
    "dino": (
        "dino/dino-4scale_r50_8xb2-12e_coco.py",
        {
            "backbone": dict(depth=18, init_cfg=None),
            "neck.in_channels": [128, 256, 512],
            "encoder.num_layers": 1,
            "decoder.num_layers": 1,
            "bbox_head.num_classes": 2,
            "num_queries": 20,
            "test_cfg.max_per_img": 20,
        },
    ),
}
KINDS = dict(
    yolox="one-stage", rtmdet="one-stage", retinanet="one-stage", faster_rcnn="two-stage",
    single_map="one-stage", maps="one-stage", c4="two-stage",
    dino="two-stage DETR", rtdetr="RT-DETR", transformers="RT-DETR", dfine="RT-DETR",
    deimv2="RT-DETR", deimv2_lite="RT-DETR", deimv2_dinov3="RT-DETR",
    rfdetr="LW-DETR", lwdetr="LW-DETR", lwdetr_levels="LW-DETR",
)  # fmt: skip
# Modules of each backbone after which early blocks are tried.
EARLY = dict(
    yolox=("stem", "stage1"), rtmdet=("stage1",), retinanet=("layer1", "maxpool"),
    swin=("patch_embed", "stages.0"), c4=("layer1",), maps=("layers.0.0",),
    rtdetr=("stem", "stage1"), transformers=("stage1",), rtdetrv2=("stem", "stage2"),
    dfine=("stem", "stage1"), deimv2=("stem", "stage1"), deimv2_lite=("stage1",),
)  # fmt: skip
TRANSFORMERS = dict(
    transformers="r18", rtdetrv2="rtdetrv2_r18", dfine="dfine_s",
    deimv2="deimv2_n", deimv2_lite="deimv2_atto", deimv2_dinov3="deimv2_s",
    rfdetr="rfdetr_nano", lwdetr="lwdetr_tiny", lwdetr_levels="lwdetr_large",
)  # fmt: skip
IMAGENET = dict(
    do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
)
NORMALISED = ("deimv2_dinov3", "rfdetr", "lwdetr", "lwdetr_levels")
PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=SIZE, keep_ratio=False),
    dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape", "img_shape", "scale_factor")),
]


def model_of(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    if name in TRANSFORMERS:
        return _shaken(tiny_twin(TRANSFORMERS[name], seed=seed))
    if name == "rtdetr":
        return _shaken(MODELS.build(tiny_rtdetr_cfg()))
    base, options = MMDET[name]
    cfg = get_config(f"mmdet::{base}")
    cfg.merge_from_dict({f"model.{key}": value for key, value in options.items()})
    return _shaken(revert_sync_batchnorm(MODELS.build(cfg.model)))


@torch.no_grad()
def _shaken(model: nn.Module) -> nn.Module:
    """Random weights under which outputs depend on the image."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    return model.eval()


def prepare_for(name: str) -> Any:
    if name in TRANSFORMERS:
        normalisation = IMAGENET if name in NORMALISED else {}
        height, width = (96, 96) if name == "rfdetr" else SIZE[::-1]
        return RTDetrImageProcessor(size=dict(height=height, width=width), **normalisation)
    return PipelineSample(PIPELINE)


def frozen(
    name: str, seed: int = 0, early: Sequence[str] = (), image_filter: bool = False
) -> FrozenDetector:
    model, prepare = model_of(name, seed), prepare_for(name)
    blocks = build_early(model, early, seed=seed)
    front = build_filter(model, prepare, seed=seed) if image_filter else None
    return freeze(model, prepare, early=blocks, image_filter=front, seed=seed)


def write_photos(folder: Path, count: int = 6) -> list[Path]:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        image = cv2.resize(rng.integers(0, 255, (5, 7, 3)).astype(np.uint8), (75 + number, 50))
        cv2.imwrite(str(path), image)
    return paths

"""Small RT-DETRs of each generation, random but non-degenerate weights, and data samples."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn
from transformers import PreTrainedModel

from derain_plugin.hf.hf_checkpoint import to_mmdet_keys
from derain_plugin.models.rtdetr.config import rtdetr_config
from derain_plugin.models.rtdetr.family import family_of
from derain_plugin.models.rtdetr.init import init_like_upstream

TINY_BACKBONE = dict(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
TINY = dict(
    backbone_config=TINY_BACKBONE,
    encoder_in_channels=[16, 24, 32],
    encoder_hidden_dim=32,
    encoder_ffn_dim=32,
    encoder_attention_heads=2,
    d_model=32,
    decoder_in_channels=[32, 32, 32],
    decoder_ffn_dim=32,
    decoder_layers=2,
    decoder_attention_heads=2,
    num_queries=30,
    num_denoising=10,
)
TINY_HGNETV2 = dict(
    stem_channels=[3, 8, 8],
    stage_in_channels=[8, 8, 16, 24],
    stage_mid_channels=[8, 8, 8, 8],
    stage_out_channels=[8, 16, 24, 32],
    stage_num_blocks=[1, 1, 2, 1],
    stage_numb_of_layers=[1, 1, 2, 1],
)
TINY_DFINE = dict(TINY, backbone_config=TINY_HGNETV2, decoder_n_points=[2, 3, 1])
TINY_DEIMV2 = dict(  # with three levels, as the others
    TINY,
    backbone_config=dict(TINY_HGNETV2, out_indices=[2, 3, 4]),
    encode_proj_layers=[2],
    feat_strides=[8, 16, 32],
    num_feature_levels=3,
    decoder_n_points=[2, 3, 1],
)
TINY_LITE = dict(
    TINY,
    backbone_config=dict(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16],
        stage_mid_channels=[8, 8, 8],
        stage_out_channels=[8, 16, 24],
        stage_numb_of_layers=[1, 1, 2],
    ),
    encoder_in_channels=[24],
    decoder_in_channels=[32, 32],
    num_queries=15,
)
TINY_DINOV3 = dict(
    TINY,
    backbone_config=dict(
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=48,
        num_hidden_layers=4,
        out_indices=[1, 2, 4],
    ),
    spatial_tuning_adapter_inplanes=4,
    encoder_in_channels=[32, 32, 32],
)
TINY_GROUPS = dict(
    d_model=32,
    decoder_ffn_dim=32,
    decoder_layers=2,
    decoder_self_attention_heads=2,
    decoder_cross_attention_heads=4,
    num_queries=15,
    group_detr=3,
    c2f_num_blocks=1,
    num_feature_levels=1,
)
TINY_VIT = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, out_indices=[1, 3])
TINY_RFDETR = dict(  # of 96 px; its last layer is one that no map depends on
    TINY_GROUPS, backbone_config=dict(TINY_VIT, image_size=64, patch_size=16)
)
TINY_LWDETR = dict(
    TINY_GROUPS, backbone_config=dict(TINY_VIT, image_size=64, num_windows=4, patch_size=8)
)
del TINY_LWDETR["num_feature_levels"]
# One architecture of each generation, with what makes it tiny.
FAMILY = {"r18": TINY, "rtdetrv2_r18": TINY, "dfine_s": TINY_DFINE, "deimv2_n": TINY_DEIMV2}
# DEIMv2's other encoder, and its other backbone: upstream's own ViT, and DINOv3's gated one.
OTHER_DEIMV2 = {
    "deimv2_atto": TINY_LITE,
    "deimv2_s": TINY_DINOV3,
    "deimv2_x": dict(TINY_DINOV3, depth_mult=0.67),
}
TINY_OF = {**FAMILY, **OTHER_DEIMV2}
# Detectors of a ViT and groups of queries; LW-DETR with one map, and with two.
GROUPED = {
    "rfdetr_nano": TINY_RFDETR,
    "lwdetr_tiny": TINY_LWDETR,
    "lwdetr_large": TINY_LWDETR,
}


def rtdetr_cfg(arch: str = "r18", num_classes: int = 2, **overrides: object) -> dict:
    """The vanilla detector's config, every part with the same overrides."""
    return dict(
        type="RTDETR",
        data_preprocessor=dict(
            type="DetDataPreprocessor", mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True
        ),
        backbone=dict(type="RTDETRBackbone", arch=arch, **overrides),
        neck=dict(type="RTDETRHybridEncoder", arch=arch, **overrides),
        bbox_head=dict(type="RTDETRHead", arch=arch, num_classes=num_classes, **overrides),
    )


def tiny_rtdetr_cfg(num_classes: int = 2, arch: str = "r18", **overrides: object) -> dict:
    """A vanilla detector of some 100 K parameters."""
    return rtdetr_cfg(arch, num_classes, **{**tiny(arch), **overrides})


def tiny(arch: str) -> dict:
    """Settings that make an architecture tiny."""
    return {**TINY_OF, **GROUPED}[arch]


def build(cfg: dict) -> nn.Module:
    return MODELS.build(cfg)


@torch.no_grad()
def transformers_twin(
    arch: str = "r18", num_classes: int = 2, seed: int = 0, **overrides: object
) -> PreTrainedModel:
    """The unsplit transformers model: upstream's start, then every weight moved at random."""
    torch.manual_seed(seed)
    config = rtdetr_config(arch, num_labels=num_classes, **overrides)
    model = family_of(config).detector(config)
    init_like_upstream(model)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.02)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand_like(buffer) * 0.1)
    return model


def tiny_twin(arch: str, num_classes: int = 2, **overrides: object) -> PreTrainedModel:
    """The unsplit transformers model that :func:`tiny_rtdetr_cfg` describes."""
    return transformers_twin(arch, num_classes, **{**tiny(arch), **overrides})


def our_copy(twin: PreTrainedModel, cfg: dict) -> nn.Module:
    """Our detector with the twin's weights, loaded strictly."""
    model = build(cfg)
    model.load_state_dict(to_mmdet_keys(twin.state_dict()))
    return model


def data_samples(
    boxes_per_image: list[int], size: tuple[int, int], num_classes: int = 2
) -> list[DetDataSample]:
    """Samples with random boxes (xyxy, px) inside images of ``size`` (H, W)."""
    generator = torch.Generator().manual_seed(len(boxes_per_image))
    height, width = size
    samples = []
    for count in boxes_per_image:
        corner = torch.rand(count, 2, generator=generator) * 0.6
        extent = torch.rand(count, 2, generator=generator) * 0.3 + 0.05
        boxes = torch.cat([corner, corner + extent], 1) * torch.tensor([width, height] * 2)
        labels = torch.randint(num_classes, (count,), generator=generator)
        meta = dict(img_shape=size, ori_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
        sample = DetDataSample(
            metainfo=meta, gt_instances=InstanceData(bboxes=boxes, labels=labels)
        )
        samples.append(sample)
    return samples


def to_transformers_labels(samples: list[DetDataSample]) -> list[dict[str, Tensor]]:
    """The same targets as transformers takes them: cx, cy, w, h in 0-1."""
    labels = []
    for sample in samples:
        height, width = sample.batch_input_shape
        x1, y1, x2, y2 = (sample.gt_instances.bboxes / torch.tensor([width, height] * 2)).unbind(1)
        boxes = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
        labels.append({"class_labels": sample.gt_instances.labels, "boxes": boxes})
    return labels

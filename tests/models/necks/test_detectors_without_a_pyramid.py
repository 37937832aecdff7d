"""``DerainNeck`` in detectors whose neck takes one map, is a list of necks, or is none at all."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from torch import nn

from derain_plugin.models.necks import DerainNeck
from derain_plugin.models.necks.derain_neck import require_whole_checkpoint

RESNET = dict(
    backbone=dict(depth=18, base_channels=8, norm_cfg=dict(type="BN"), style="pytorch"),
)
HOURGLASS = dict(num_stacks=2, downsample_times=2, stage_channels=(8, 8, 8), stage_blocks=(1, 1, 1))
# Config, what makes it small, channels of the backbone's levels.
DETECTORS = {
    "yolof": (
        "yolof/yolof_r50-c5_8xb8-1x_coco.py",
        dict(RESNET, neck=dict(in_channels=64, out_channels=16, block_mid_channels=8)),
        [64],
    ),
    "detr": ("detr/detr_r50_8xb2-150e_coco.py", dict(RESNET, neck=dict(in_channels=[64])), [64]),
    "faster_rcnn_c4": ("faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py", {}, [1024]),
    "cornernet": (
        "cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py",
        dict(backbone=dict(HOURGLASS, feat_channel=16), bbox_head=dict(in_channels=16)),
        [16, 16],
    ),
    "libra": (
        "libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py",
        dict(RESNET, neck=[dict(in_channels=[8, 16, 32, 64]), {}]),
        [8, 16, 32, 64],
    ),
}


def vanilla_config(base: str, smaller: dict) -> dict:
    cfg = get_config(f"mmdet::{base}")
    necks = smaller.pop("neck", {})
    if isinstance(necks, list):
        for neck, changed in zip(cfg.model.neck, necks, strict=True):
            neck.update(changed)
    elif necks:
        cfg.model.neck.update(necks)
    cfg.merge_from_dict(dict(model=smaller))
    cfg.model.backbone.init_cfg = None
    return cfg.model


def build(model: dict, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return revert_sync_batchnorm(MODELS.build(copy.deepcopy(model))).eval()


@pytest.fixture(params=DETECTORS)
def detectors(request) -> tuple[nn.Module, nn.Module]:
    base, smaller, channels = copy.deepcopy(DETECTORS[request.param])
    model = vanilla_config(base, smaller)
    derain = dict(type="MultiScaleFeatureDerain", in_channels=channels)
    neck = dict(type="DerainNeck", derain=derain)
    if model.get("neck"):
        neck["neck"] = model.neck
    derained = Config(dict(model=model)).model
    derained.neck = neck
    return build(model, 0), build(derained, 1)


@torch.no_grad()
def test_a_vanilla_checkpoint_gives_bitwise_the_same_features(detectors):
    vanilla, derained = detectors
    require_whole_checkpoint(derained)
    derained.load_state_dict(vanilla.state_dict())
    images = torch.randn(1, 3, 128, 128)
    expected, ours = vanilla.extract_feat(images), derained.extract_feat(images)
    assert len(ours) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    for parameter in derained.neck.derain.parameters():
        nn.init.normal_(parameter, std=0.3)
    assert not torch.equal(derained.extract_feat(images)[-1], expected[-1])
    masks = derained.neck.rain_masks(derained.backbone(images))
    assert len(masks) == len(derained.neck.in_channels)


def test_without_a_neck_the_channels_stay():
    neck = DerainNeck(derain=dict(type="LightweightFeatureDerain", in_channels=[8, 16]))
    assert neck.out_channels == neck.in_channels == (8, 16)
    with pytest.raises(ValueError, match=r"\(8, 16\), but the backbone gives \(8,\)"):
        neck((torch.ones(1, 8, 5, 7),))


def test_without_a_neck_anything_missing_of_an_own_checkpoint_is_an_error():
    neck = DerainNeck(derain=dict(type="LightweightFeatureDerain", in_channels=[8]))
    state = neck.state_dict()
    del state["derain.blocks.0.offset"]
    with pytest.raises(ValueError, match=r"misses 1: derain.blocks.0.offset"):
        neck.load_state_dict(state, strict=False)

import pytest
import torch
from tiny_rtdetr import FAMILY, TINY, TINY_HGNETV2, TINY_OF
from torch import nn
from transformers.models.d_fine.modeling_d_fine import DFineFrozenBatchNorm2d
from transformers.models.rt_detr.modeling_rt_detr import RTDetrFrozenBatchNorm2d

from derain_plugin.models import RTDETRBackbone


@pytest.mark.parametrize(("arch", "tiny"), FAMILY.items(), ids=FAMILY)
def test_strides_and_channels(arch, tiny):
    backbone = RTDETRBackbone(arch, **tiny)
    feats = backbone(torch.rand(1, 3, 64, 96))
    assert backbone.out_channels == (16, 24, 32)
    assert [tuple(f.shape[1:]) for f in feats] == [(16, 8, 12), (24, 4, 6), (32, 2, 3)]


def test_two_levels():
    backbone = RTDETRBackbone("dfine_n")
    assert [tuple(f.shape[1:]) for f in backbone(torch.rand(1, 3, 64, 96))] == [
        (512, 4, 6),
        (1024, 2, 3),
    ]


@pytest.mark.parametrize(
    ("arch", "channels", "strides"),
    [
        ("deimv2_n", (512, 1024), (16, 32)),
        ("deimv2_atto", (256,), (16,)),
        ("deimv2_pico", (512,), (16,)),
        ("deimv2_s", (192, 192, 192), (8, 16, 32)),
        ("deimv2_l", (224, 224, 224), (8, 16, 32)),
    ],
)
def test_maps_of_deimv2(arch, channels, strides):
    backbone = RTDETRBackbone(arch).eval()
    with torch.no_grad():
        feats = backbone(torch.rand(1, 3, 64, 96))
    assert backbone.out_channels == tuple(feat.shape[1] for feat in feats) == channels
    assert [tuple(f.shape[2:]) for f in feats] == [(64 // s, 96 // s) for s in strides]


def test_layers_of_a_vit_can_be_frozen_and_its_start_is_transformers():
    torch.manual_seed(0)
    backbone = RTDETRBackbone("deimv2_s", frozen_stages=2, **TINY_OF["deimv2_s"]).train()
    vit = backbone.model.backbone
    layers = [vit.embeddings, *vit.model.layer]
    trains = [any(p.requires_grad for p in layer.parameters()) for layer in layers]
    assert trains == [False, False, False, True, True]
    weight = vit.model.layer[0].mlp.up_proj.weight
    assert 0.015 < weight.std() < 0.025


def test_sizes_that_the_two_halves_of_a_dinov3_would_see_differently():
    backbone = RTDETRBackbone("deimv2_s", **TINY_OF["deimv2_s"])
    with pytest.raises(ValueError, match=r"multiples of 32, got \(64, 80\).*pad_size_divisor=32"):
        backbone(torch.rand(1, 3, 64, 80))


def test_early_blocks_need_maps():
    with pytest.raises(ValueError, match="Deimv2DINOv3ConvEncoder cannot have early"):
        RTDETRBackbone(
            "deimv2_s", early_derain=dict(type="EarlyFeatureDerain"), **TINY_OF["deimv2_s"]
        )


@pytest.mark.parametrize("arch", ["r18", "dfine_s"])
@pytest.mark.parametrize("frozen_stages", [-1, 0, 2, 4])
def test_frozen_stages_stay_frozen_in_train_mode(frozen_stages, arch):
    backbone = RTDETRBackbone(arch, frozen_stages=frozen_stages, **FAMILY[arch]).train()
    groups = [backbone.model.embedder, *backbone.model.encoder.stages]
    for index, group in enumerate(groups):
        frozen = index <= frozen_stages
        assert all(p.requires_grad is not frozen for p in group.parameters())
        norms = [m for m in group.modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(norm.training is not frozen for norm in norms)


@pytest.mark.parametrize(("arch", "tiny"), FAMILY.items(), ids=FAMILY)
def test_starts_as_upstream_does(arch, tiny):
    torch.manual_seed(0)
    backbone = RTDETRBackbone(arch, **tiny)
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.weight.eq(1).all() for norm in norms)
    for conv in convolutions:  # kaiming_uniform(a=sqrt(5)): bounded by 1 / sqrt(fan_in)
        fan_in = conv.weight[0].numel()
        assert conv.weight.abs().max() <= fan_in**-0.5
        assert conv.weight.abs().max() > 0.8 * fan_in**-0.5


@pytest.mark.parametrize("frozen_stages", [-2, 5])
def test_frozen_stages_out_of_range(frozen_stages):
    with pytest.raises(ValueError, match=f"-1..4, got {frozen_stages}"):
        RTDETRBackbone("r18", frozen_stages=frozen_stages, **TINY)


@pytest.mark.parametrize(
    ("arch", "backbone_config", "frozen_norm"),
    [
        ("r50", dict(depths=[1, 1, 1, 1]), RTDetrFrozenBatchNorm2d),
        ("dfine_l", TINY_HGNETV2, DFineFrozenBatchNorm2d),
    ],
)
def test_frozen_norms_start_as_the_identity(arch, backbone_config, frozen_norm):
    backbone = RTDETRBackbone(arch, backbone_config=backbone_config)
    norms = [m for m in backbone.modules() if isinstance(m, frozen_norm)]
    assert len(norms) > 10
    for norm in norms:
        assert norm.weight.eq(1).all()
        assert norm.running_var.eq(1).all()
        assert not norm.bias.any()
        assert not norm.running_mean.any()

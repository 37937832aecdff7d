"""The capacity control: the multi-scale neck's cost without what knows of rain."""

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from toy_detector import DERAIN, DERAINED, feats, toy

from derain_plugin.models.layers.cbam import CBAM
from derain_plugin.models.layers.derain_blocks import RainMask


def build(name: str, in_channels: tuple[int, ...]) -> nn.Module:
    return MODELS.build(dict(type=name, in_channels=in_channels))


def parameters_and_flops(neck: nn.Module) -> tuple[int, int]:
    levels = [torch.randn(1, c, 40 >> i, 40 >> i) for i, c in enumerate(neck.in_channels)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        neck(levels)
    return sum(p.numel() for p in neck.parameters()), counter.get_total_flops()


@pytest.mark.parametrize("in_channels", [(128, 256, 512), (64, 128, 192), (512, 1024, 2048)])
def test_it_costs_what_the_multi_scale_neck_costs(in_channels):
    control, derain = (
        parameters_and_flops(build(name, in_channels))
        for name in ("PlainFeatureRefine", "MultiScaleFeatureDerain")
    )
    for ours, theirs in zip(control, derain, strict=True):
        assert ours == pytest.approx(theirs, rel=0.05)


def test_it_knows_nothing_of_rain():
    modules = list(build("PlainFeatureRefine", (16, 24)).modules())
    assert not [module for module in modules if isinstance(module, RainMask | CBAM)]


def test_it_takes_the_derain_necks_place_with_masks_of_zeros():
    neck = toy(dict(DERAINED, derain=dict(DERAIN, type="PlainFeatureRefine"))).neck
    masks = neck.rain_masks(feats())
    assert [mask.shape for mask in masks] == [f[:, :1].shape for f in feats()]
    assert not any(mask.any() for mask in masks)


def test_every_weight_gets_a_gradient_once_it_is_open():
    neck = build("PlainFeatureRefine", (16, 24))
    for block in neck.blocks:
        nn.init.normal_(block.expand.weight)
    sum(
        out.square().sum() for out in neck((torch.randn(2, 16, 5, 7), torch.randn(2, 24, 3, 4)))
    ).backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in neck.parameters())


@pytest.mark.parametrize("option", [dict(num_residual_blocks=-1), dict(reduction=0)])
def test_what_is_no_count_is_refused(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} must be"):
        MODELS.build(dict(type="PlainFeatureRefine", in_channels=(16,), **option))

import pytest
import torch
from tiny_rtdetr import TINY
from torch import nn
from transformers.models.rt_detr.modeling_rt_detr import RTDetrFrozenBatchNorm2d

from derain_plugin.models import RTDETRBackbone


def test_strides_and_channels():
    backbone = RTDETRBackbone("r18", **TINY)
    feats = backbone(torch.rand(1, 3, 64, 96))
    assert backbone.out_channels == (16, 24, 32)
    assert [tuple(f.shape[1:]) for f in feats] == [(16, 8, 12), (24, 4, 6), (32, 2, 3)]


@pytest.mark.parametrize("frozen_stages", [-1, 0, 2, 4])
def test_frozen_stages_stay_frozen_in_train_mode(frozen_stages):
    backbone = RTDETRBackbone("r18", frozen_stages=frozen_stages, **TINY).train()
    groups = [backbone.model.embedder, *backbone.model.encoder.stages]
    for index, group in enumerate(groups):
        frozen = index <= frozen_stages
        assert all(p.requires_grad is not frozen for p in group.parameters())
        norms = [m for m in group.modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(norm.training is not frozen for norm in norms)


def test_starts_as_upstream_does():
    backbone = RTDETRBackbone("r18", **TINY)
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


def test_frozen_norms_start_as_the_identity():
    backbone = RTDETRBackbone("r50", backbone_config=dict(depths=[1, 1, 1, 1]))
    norms = [m for m in backbone.modules() if isinstance(m, RTDetrFrozenBatchNorm2d)]
    assert len(norms) > 10
    for norm in norms:
        assert norm.weight.eq(1).all()
        assert norm.running_var.eq(1).all()
        assert not norm.bias.any()
        assert not norm.running_mean.any()

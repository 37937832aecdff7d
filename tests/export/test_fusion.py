import copy

import pytest
import torch
from tiny_rtdetr import TINY, build, tiny_rtdetr_cfg
from torch import nn

from derain_plugin.export.fusion import fused_copy


def shaken(**overrides):
    torch.manual_seed(0)
    model = build(tiny_rtdetr_cfg(**overrides)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return model.double()


def names_of_layers(model):
    return {type(module).__name__ for module in model.modules()}


@pytest.mark.parametrize("frozen", [False, True])
def test_fewer_layers_compute_the_same(frozen):
    layers = dict(TINY["backbone_config"], layer_type="bottleneck" if frozen else "basic")
    model = shaken(freeze_backbone_batch_norms=frozen, backbone_config=layers)
    assert ("RTDetrFrozenBatchNorm2d" in names_of_layers(model)) == frozen
    before = copy.deepcopy(model.state_dict())
    fused = fused_copy(model)
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        expected = model.neck(model.backbone(images))
        found = fused.neck(fused.backbone(images))
        logits = [m.bbox_head(feats)[0] for m, feats in ((model, expected), (fused, found))]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*logits, rtol=1e-6, atol=1e-6)
    left = [name for name in names_of_layers(fused) if "BatchNorm" in name or "RepVgg" in name]
    assert not left
    assert all(map(torch.equal, model.state_dict().values(), before.values()))


def test_each_repvgg_block_is_one_convolution():
    model = shaken()
    blocks = [m for m in model.modules() if type(m).__name__ == "RTDetrRepVggBlock"]
    fused = fused_copy(model)
    count = [sum(isinstance(m, nn.Conv2d) for m in each.modules()) for each in (model, fused)]
    assert count[0] - count[1] == len(blocks) == 12


def test_a_norm_without_convolution_stays():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))
    assert isinstance(fused_copy(model)[0], nn.BatchNorm2d)

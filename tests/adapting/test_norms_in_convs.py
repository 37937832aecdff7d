"""Frozen norms that convolutions compute as well while a neck trains."""

from contextlib import nullcontext

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.dataset import pseudo_collate
from small_detectors import frozen

from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import Adaptation
from derain_plugin.adapting.twins import RainyTwins


def _losses_and_gradients(detector, photos):
    twins = RainyTwins(photos, detector.prepare, num_samples=2, clean_share=0)
    twins.set_run_seed(0)
    adaptation = Adaptation(detector, LossWeights())
    losses = adaptation(**pseudo_collate([twins[0], twins[1]]))
    sum(losses.values()).backward()
    gradients = {name: p.grad for name, p in adaptation.named_parameters() if p.grad is not None}
    adaptation.zero_grad(set_to_none=True)
    return losses, gradients


@pytest.fixture
def norms(monkeypatch):
    """Count calls of BatchNorm."""
    calls, batch_norm = [], torch.nn.functional.batch_norm

    def counted(*args, **kwargs):
        calls.append(args)
        return batch_norm(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "batch_norm", counted)
    return calls


@pytest.mark.parametrize("name", ["yolox", "rtmdet"])
def test_steps_teach_the_same_without_a_single_norm(name, photos, norms, monkeypatch):
    detector = frozen(name, image_filter=True)
    for module in detector.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    norms.clear()
    found = _losses_and_gradients(detector, photos)
    assert not norms
    monkeypatch.setattr(detector, "norms_in_convs", nullcontext)
    expected = _losses_and_gradients(detector, photos)
    assert norms
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            scale = other[key].abs().max() + 1e-3
            assert torch.allclose(value / scale, other[key] / scale, atol=1e-3), key


def test_afterwards_the_detector_computes_its_own_norms(photos, norms):
    detector = frozen("yolox")
    with pytest.raises(RuntimeError, match="on the way"), detector.norms_in_convs():
        raise RuntimeError("on the way")
    norms.clear()
    detector.extract(torch.zeros(1, 3, 64, 64))
    assert len(norms) == sum(
        isinstance(module, ConvModule) for module in detector.model.backbone.modules()
    )


def test_what_looks_at_a_convolution_or_a_norm_still_sees_it():
    detector, seen = frozen("yolox"), []
    backbone = detector.model.backbone
    plain = detector.extract(torch.ones(1, 3, 64, 64))
    for part in (backbone.stem.conv.norm, backbone.stage1[0].pointwise_conv.conv):
        part.register_forward_hook(lambda module, args, output: seen.append(output))
    with detector.norms_in_convs():
        feats = detector.extract(torch.ones(1, 3, 64, 64))
    assert len(seen) == 2
    for feat, other in zip(feats, plain, strict=True):
        assert torch.allclose(feat, other, atol=1e-4)


@pytest.mark.parametrize("conv", ["ConvAWS", "ConvWS"])
def test_convolutions_with_weights_of_their_own_making_stay(conv, norms):
    torch.manual_seed(0)
    detector = frozen("yolox")
    own = ConvModule(3, 3, 3, padding=1, conv_cfg=dict(type=conv), norm_cfg=dict(type="BN")).eval()
    own.norm.running_var.uniform_(0.5, 2)
    detector.model.backbone.own = own
    image = torch.randn(1, 3, 16, 16)
    plain = own(image)
    norms.clear()
    with detector.norms_in_convs():
        assert torch.equal(own(image), plain)
    assert len(norms) == 1

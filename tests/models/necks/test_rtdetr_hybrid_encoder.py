import pytest
import torch
from tiny_rtdetr import FAMILY, TINY
from torch import nn

from derain_plugin.models import RTDETRHybridEncoder

EVERY = pytest.mark.parametrize(("arch", "tiny"), FAMILY.items(), ids=FAMILY)


def feats(channels=(16, 24, 32), sizes=((8, 12), (4, 6), (2, 3))):
    return tuple(torch.rand(1, c, *size) for c, size in zip(channels, sizes, strict=True))


@EVERY
def test_shapes(arch, tiny):
    outputs = RTDETRHybridEncoder(arch, **tiny)(feats())
    assert [tuple(x.shape[1:]) for x in outputs] == [(32, 8, 12), (32, 4, 6), (32, 2, 3)]


@EVERY
def test_does_not_touch_its_input(arch, tiny):
    inputs = feats()
    copies = [x.clone() for x in inputs]
    RTDETRHybridEncoder(arch, **tiny)(inputs)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


@EVERY
def test_starts_as_upstream_does_and_keeps_that_in_init_weights(arch, tiny):
    encoder = RTDETRHybridEncoder(arch, **tiny)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) > 10
    assert all(norm.weight.eq(1).all() for norm in norms)


@pytest.mark.parametrize(
    ("channels", "sizes", "message"),
    [
        ((16, 24, 64), ((8, 8), (4, 4), (2, 2)), r"\(16, 24, 32\).*\(16, 24, 64\)"),
        ((16, 24, 32), ((9, 8), (5, 4), (3, 2)), "multiples of 32"),
    ],
)
def test_features_that_do_not_fit_are_refused(channels, sizes, message):
    with pytest.raises(ValueError, match=message):
        RTDETRHybridEncoder("r18", **TINY)(feats(channels, sizes))

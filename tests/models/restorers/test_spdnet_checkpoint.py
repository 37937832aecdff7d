import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

from derain_plugin.models.restorers import SPDNet
from derain_plugin.models.restorers.spdnet_checkpoint import (
    convert_spdnet,
    haar_kernels,
    official_names,
)

KEYS = Path(__file__).parents[2] / "models/restorers/spdnet_official_keys.json"
SHAPES = {name: tuple(shape) for name, shape in json.loads(KEYS.read_text())}


@pytest.fixture(scope="module")
def drawn():
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    return {**weights, **haar_kernels()}


@pytest.fixture
def official(drawn):
    """A checkpoint in the official layout, which a test may spoil."""
    return dict(drawn)


def test_the_table_names_every_official_tensor():
    assert {*official_names(), *haar_kernels()} == {*SHAPES}
    assert len(SHAPES) == 930
    assert {name: tuple(kernel.shape) for name, kernel in haar_kernels().items()} == {
        name: shape for name, shape in SHAPES.items() if "DWT." in name
    }


def test_exactly_the_dead_tensors_are_dropped():
    dropped = [theirs for theirs, ours in official_names().items() if ours is None]
    assert len(dropped) == 174
    assert sum(math.prod(SHAPES[name]) for name in dropped) == 337_216
    marks = (".ins.", "_d.", "_u.", ".down2.", ".down3.", ".fuse12.conv.", ".fuse23.conv.")
    assert {*dropped} == {n for n in SHAPES if any(mark in n for mark in marks)}


def test_every_live_tensor_arrives_once(official):
    network = SPDNet()
    network.load_state_dict(convert_spdnet(official))
    state = network.state_dict()
    ours = official_names()
    assert len(state) == 732
    assert {*state} == {name for name in ours.values() if name}
    for theirs, name in ours.items():
        if name:
            assert torch.equal(state[name], official[theirs]), theirs


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv_init2.conv.weight", "stem.1.0.weight"),
        ("res_extra2.conv_init1.conv.bias", "stages.1.prior.0.0.0.bias"),
        (
            "res_extra3.extra.module_body.2.se.fc.2.weight",
            "stages.2.prior.1.body.2.excite.2.weight",
        ),
        ("sub1.prior.key_conv.weight", "stages.0.interact.prior_key.weight"),
        ("sub1.prior.gamma2.bias", "stages.0.interact.prior_mix.bias"),
        ("sub2.fuse_res.conv.weight", "stages.1.interact.merge.0.weight"),
        ("sub3.branch2_3.module_body.3.bias", "stages.2.pyramid.levels.1.2.body.3.bias"),
        ("sub1.DWT_2.conv.weight", "stages.0.pyramid.down.0.0.weight"),
        ("sub1.IDWT_2.conv.weight", "stages.0.pyramid.up.1.0.weight"),
        ("sub1.fuse23.up.conv2d.weight", "stages.0.pyramid.fuse.0.upsample.weight"),
        ("sub1.fuse12.rb.module_body.2.bias", "stages.0.pyramid.fuse.1.refine.convs.2.bias"),
        ("ag1.conv.weight", "stages.1.gather.0.weight"),
        ("ag2.conv.weight", "stages.2.gather.0.weight"),
        ("ag2_en.conv.weight", "stages.1.summarise.0.weight"),
        ("ag_en.conv.weight", "stages.2.summarise.0.weight"),
        ("output3.bias", "stages.2.predict.bias"),
    ],
)
def test_names_by_hand(theirs, ours):
    assert official_names()[theirs] == ours


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: dict(state_dict=weights, epoch=3),
        lambda weights: dict(model=weights),
        lambda weights: {f"module.{name}": tensor for name, tensor in weights.items()},
        lambda weights: dict(model={f"module.{name}": t for name, t in weights.items()}),
    ],
)
def test_wrapped_checkpoints(official, wrap):
    converted = convert_spdnet(wrap(official))
    assert torch.equal(converted["stages.2.predict.bias"], official["output3.bias"])


@pytest.mark.parametrize("name", ["sub2.IDWT.g0_row", "sub1.down2.ins.bias", "output1.weight"])
def test_a_missing_tensor_is_refused(official, name):
    del official[name]
    with pytest.raises(ValueError, match=f"it misses 1: {name}"):
        convert_spdnet(official)


def test_an_unexpected_tensor_is_refused(official):
    official["sub4.prior.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"unlike the model, 1: sub4\.prior\.weight"):
        convert_spdnet(official)


@pytest.mark.parametrize("other", [torch.zeros(3, 31, 3, 3), 7])
def test_another_shape_is_refused(official, other):
    official["output1.weight"] = other
    with pytest.raises(ValueError, match=r"another shape 1: output1.weight .* for \(3, 32, 3, 3\)"):
        convert_spdnet(official)


def test_our_own_checkpoint_is_refused(official):
    with pytest.raises(ValueError, match="needs no conversion"):
        convert_spdnet(convert_spdnet(official))


def test_another_wavelet_is_reported(official, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    convert_spdnet(official)
    assert "wavelet" not in caplog.text
    official["sub2.DWT.h1_col"] = -official["sub2.DWT.h1_col"]
    convert_spdnet(official)
    logger.removeHandler(caplog.handler)
    assert "1 kernels differ, sub2.DWT.h1_col first" in caplog.text

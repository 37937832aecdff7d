import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from derain_plugin.models.restorers import SPDNet
from derain_plugin.models.restorers.spdnet_checkpoint import (
    convert_oldest_first,
    convert_spdnet,
    haar_kernels,
    is_oldest_first,
    official_names,
)

KEYS = Path(__file__).parents[2] / "models/restorers/spdnet_official_keys.json"
# Outputs of the authors' own network (n_feats 32, 3 blocks) with the weights of `golden_weights`:
# every third pixel, columns from the right, of the first image of a run by the project's owner.
GOLDEN = Path(__file__).with_name("spdnet_golden.npz")
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
        ("ag1.conv.weight", "stages.1.aggregate_in.0.weight"),
        ("ag2.conv.weight", "stages.2.aggregate_in.0.weight"),
        ("ag2_en.conv.weight", "stages.1.aggregate_out.0.weight"),
        ("ag_en.conv.weight", "stages.2.aggregate_out.0.weight"),
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
        lambda weights: dict(params=weights),
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


def golden_weights():
    weights = {}
    for name, shape in SHAPES.items():
        generator = np.random.default_rng(zlib.crc32(f"golden:{name}".encode()))
        fan = math.prod(shape[1:]) if len(shape) > 1 else 16
        drawn = generator.standard_normal(shape) * 0.45 / np.sqrt(fan)
        weights[name] = torch.from_numpy(drawn.astype(np.float32))
    return {**weights, **haar_kernels()}


@pytest.mark.parametrize("size", ["even", "odd"])
def test_images_are_those_of_the_authors_network(size):
    golden = np.load(GOLDEN)
    network = SPDNet().eval()
    network.load_state_dict(convert_spdnet(golden_weights()))
    with torch.no_grad():
        outputs = network(torch.from_numpy(golden[f"{size}_x"]))
    for stage, images in zip((3, 2, 1), outputs, strict=True):
        expected = golden[f"{size}_out{stage}"]
        found = images.flip(-1)[..., ::3, ::3].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def oldest_first(network):
    """Let a network join features as it once did, and return its weights under their old names."""
    for stage in network.stages[1:]:
        for layer in (stage.aggregate_in, stage.aggregate_out):
            layer.register_forward_pre_hook(_reverse)
    return {
        name.replace("aggregate_in", "gather").replace("aggregate_out", "summarise"): tensor
        for name, tensor in network.state_dict().items()
    }


def _reverse(layer, inputs):
    sources = inputs[0].split(layer[0].out_channels, 1)
    return torch.cat(sources[::-1], 1)


@pytest.mark.parametrize("prefix", ["", "data_preprocessor.restorer.", "module.restorer."])
def test_a_network_of_the_old_order_restores_as_it_did(prefix):
    old, new = SPDNet(4, 1).eval(), SPDNet(4, 1).eval()
    weights = {prefix + name: tensor for name, tensor in oldest_first(old).items()}
    checkpoint = dict(state_dict=weights, meta=dict(epoch=3), optimizer=dict(state={}))
    assert is_oldest_first(checkpoint)
    converted = convert_oldest_first(checkpoint)
    assert not is_oldest_first(converted)
    assert converted.keys() == {"meta", "state_dict"}
    assert converted["meta"] == dict(epoch=3)
    new.load_state_dict(
        {name.removeprefix(prefix): tensor for name, tensor in converted["state_dict"].items()}
    )
    images = torch.rand(2, 3, 16, 24) * 255
    with torch.no_grad():
        torch.testing.assert_close(new(images), old(images))


def test_authors_weights_in_the_old_layout_get_their_own_order_back(official):
    converted = convert_spdnet(official)
    network = SPDNet()
    network.load_state_dict(converted)
    old = dict(state_dict=oldest_first(network), meta=dict(source="official.pt"))
    again = convert_oldest_first(old)["state_dict"]
    assert again.keys() == converted.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in converted.items())

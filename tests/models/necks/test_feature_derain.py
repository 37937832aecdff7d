"""What holds for every registered de-rain neck."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule

from derain_plugin.models.necks.feature_derain import BaseFeatureDerain

NECKS = sorted(
    name
    for name, kind in MODELS.module_dict.items()
    if isinstance(kind, type) and issubclass(kind, BaseFeatureDerain)
)
CHANNELS = (16, 50, 3)
SIZES = ((10, 14), (5, 7), (3, 4))


def build(name: str, in_channels=CHANNELS, **kwargs) -> BaseFeatureDerain:
    torch.manual_seed(0)
    return MODELS.build(dict(type=name, in_channels=in_channels, **kwargs))


def make_feats(channels=CHANNELS, sizes=SIZES, batch: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(batch, c, *size, generator=generator).relu()
        for c, size in zip(channels, sizes, strict=True)
    )


def open_gates(neck: torch.nn.Module) -> None:
    for parameter in neck.parameters():
        if not parameter.count_nonzero():
            torch.nn.init.normal_(parameter, std=0.1)


def is_identity(neck: torch.nn.Module, feats: tuple[torch.Tensor, ...]) -> bool:
    outs = neck(feats)
    return all(
        torch.equal(out, feat) and out.dtype == feat.dtype
        for out, feat in zip(outs, feats, strict=True)
    )


def test_all_necks_are_registered():
    assert NECKS == ["LightweightFeatureDerain", "MultiScaleFeatureDerain", "PlainFeatureRefine"]


@pytest.mark.parametrize("name", NECKS)
@pytest.mark.parametrize("training", [True, False])
class TestIdentityAtInitialisation:
    def test_plain(self, name, training):
        feats = make_feats()
        feats[0][0, 0, 0, 0] = -0.0
        assert is_identity(build(name).train(training), feats)

    def test_large_and_small_values(self, name, training):
        neck = build(name).train(training)
        for scale in (1e-30, 1e4):
            assert is_identity(neck, tuple(scale * feat for feat in make_feats()))

    def test_channels_last(self, name, training):
        feats = tuple(f.to(memory_format=torch.channels_last) for f in make_feats())
        neck = build(name).train(training).to(memory_format=torch.channels_last)
        assert is_identity(neck, feats)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_autocast(self, name, training, dtype):
        feats = tuple(feat.to(dtype) for feat in make_feats())
        neck = build(name).train(training)
        with torch.autocast("cpu", torch.bfloat16):
            assert is_identity(neck, feats)
            assert {mask.dtype for mask in neck.rain_masks(feats)} == {dtype}


@pytest.mark.parametrize("name", NECKS)
def test_identity_survives_init_weights_of_every_level(name):
    class Parent(BaseModule):
        def __init__(self):
            super().__init__(init_cfg=dict(type="Kaiming", layer=["Conv2d", "Linear"]))
            self.neck = build(name, init_cfg=dict(type="Normal", layer="Conv2d", std=1.0))

    parent = Parent()
    before = parent.neck.blocks[0].reduce.weight.clone()
    parent.init_weights()
    assert not torch.equal(before, parent.neck.blocks[0].reduce.weight)
    assert is_identity(parent.neck, make_feats())


@pytest.mark.parametrize("name", NECKS)
def test_pretrained_init_cfg_restores_open_gates(name, tmp_path):
    trained = build(name)
    open_gates(trained)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / "trained.pth")
    checkpoint = str(tmp_path / "trained.pth")
    neck = build(name, init_cfg=dict(type="Pretrained", checkpoint=checkpoint))
    neck.init_weights()
    for key, value in trained.state_dict().items():
        assert torch.equal(value, neck.state_dict()[key]), key


@pytest.mark.parametrize("name", NECKS)
def test_every_parameter_gets_a_gradient_once_the_gates_have_moved(name):
    neck = build(name)
    open_gates(neck)
    feats = make_feats()
    torch.stack([out.square().mean() for out in neck(feats)]).sum().backward()
    for key, parameter in neck.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", NECKS)
def test_gates_open_at_the_first_step_and_everything_learns_at_the_second(name):
    neck = build(name)
    optimizer = torch.optim.AdamW(neck.parameters(), lr=5e-4)
    gates = [p for key, p in neck.named_parameters() if is_gate(key)]
    assert len(gates) >= 2 * len(CHANNELS)
    assert not any(gate.any() for gate in gates)
    for _ in range(2):
        optimizer.zero_grad()
        torch.stack([(out - 1).square().mean() for out in neck(make_feats())]).sum().backward()
        optimizer.step()
    assert all(gate.any() for gate in gates)
    still = [key for key, p in neck.named_parameters() if not p.grad.any()]
    assert not still, "no gradient although the gates are open"


def is_gate(key: str) -> bool:
    return key.split(".", 2)[2].startswith(("blend", "expand", "suppression", "offset"))


@pytest.mark.parametrize("name", NECKS)
def test_learns_to_remove_a_disturbance(name):
    neck = build(name, in_channels=(16,))
    generator = torch.Generator().manual_seed(2)
    clean = torch.randn(8, 16, 12, 12, generator=generator).relu()
    where = torch.rand(8, 1, 12, 12, generator=generator) < 0.2
    rainy = clean + where * 2 * torch.rand(16, 1, 1, generator=generator)
    optimizer = torch.optim.AdamW(neck.parameters(), lr=1e-2)
    losses = []
    for _ in range(90):
        loss = (neck((rainy,))[0] - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0], losses[::15]


@pytest.mark.parametrize("name", NECKS)
@pytest.mark.parametrize("in_channels", [(8,), (3, 50), (255, 64, 1, 7, 130)])
def test_any_levels_channels_and_odd_sizes(name, in_channels):
    sizes = [(5, 7)] * len(in_channels)
    neck = build(name, in_channels=in_channels)
    open_gates(neck)
    feats = make_feats(in_channels, sizes)
    outs, masks = neck(feats), neck.rain_masks(feats)
    assert isinstance(outs, tuple)
    assert [out.shape for out in outs] == [feat.shape for feat in feats]
    assert not torch.equal(outs[0], feats[0])
    assert [mask.shape for mask in masks] == [(2, 1, 5, 7)] * len(in_channels)
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)


@pytest.mark.parametrize("name", ["LightweightFeatureDerain", "MultiScaleFeatureDerain"])
def test_rain_masks_are_those_of_forward(name):
    neck = build(name)
    open_gates(neck)
    used = []
    for block in neck.blocks:
        block.mask.register_forward_hook(lambda _m, _i, out: used.append(out))
    masks = neck.rain_masks(make_feats())
    neck(make_feats())
    for mask, in_forward in zip(masks, used[len(masks) :], strict=True):
        assert torch.equal(mask, in_forward)


@pytest.mark.parametrize("name", NECKS)
def test_batched_equals_single_in_training_mode(name):
    neck = build(name).train()
    open_gates(neck)
    feats = make_feats()
    for both, alone in zip(neck(feats), neck([feat[1:] for feat in feats]), strict=True):
        torch.testing.assert_close(both[1:], alone)


@pytest.mark.parametrize("name", NECKS)
@pytest.mark.parametrize("channels", [(16, 50), (50, 16, 3), (16, 50, 3, 4)])
def test_other_channels_at_forward_name_both_lists(name, channels):
    feats = make_feats(channels, [(5, 7)] * len(channels))
    with pytest.raises(
        ValueError, match=r"\(16, 50, 3\).*" + str(channels).replace("(", r"\(")[:-1]
    ):
        build(name)(feats)


@pytest.mark.parametrize("name", NECKS)
@pytest.mark.parametrize("in_channels", [(), (128, 0), (128, -1), (12.5,), 128, "128", (True,)])
def test_impossible_in_channels_are_refused(name, in_channels):
    with pytest.raises(ValueError, match="one positive integer per level"):
        build(name, in_channels=in_channels)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("MultiScaleFeatureDerain", "num_residual_blocks", -1),
        ("MultiScaleFeatureDerain", "reduction", 0),
        ("LightweightFeatureDerain", "hidden_channels", 0),
        ("LightweightFeatureDerain", "hidden_channels", 7),
    ],
)
def test_impossible_options_are_refused(name, option, value):
    with pytest.raises(ValueError, match=f"{option} must be .*got {value}"):
        build(name, **{option: value})


@pytest.mark.parametrize("num_residual_blocks", [0, 1, 3])
def test_number_of_residual_blocks(num_residual_blocks):
    neck = build("MultiScaleFeatureDerain", num_residual_blocks=num_residual_blocks)
    assert [len(block.refine) for block in neck.blocks] == [num_residual_blocks] * 3
    assert is_identity(neck, make_feats())

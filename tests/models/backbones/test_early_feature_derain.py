"""De-rain blocks inside the backbone: identity, gate, gradients, loading."""

import copy

import pytest
import torch
from mmengine.runner import load_checkpoint
from tiny_rtdetr import FAMILY, build, rtdetr_cfg, tiny_rtdetr_cfg
from torch import Tensor, nn

from derain_plugin.models import RTDETRBackbone, loading

EVERYWHERE = ("stem", "stage1", "stage2", "stage3", "stage4")


def early(**options: object) -> dict:
    return dict(type="EarlyFeatureDerain", **options)


def backbone(
    early_derain: dict | None, seed: int = 0, *, arch: str = "r18", **options: object
) -> RTDETRBackbone:
    """The rest of the backbone is the same at every call with the same seed."""
    torch.manual_seed(seed)
    return RTDETRBackbone(arch, early_derain=early_derain, **FAMILY[arch], **options)


def opened(module: RTDETRBackbone) -> RTDETRBackbone:
    """As after some training: blocks that change something, gates that differ."""
    for parameter in module.derain.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def images(batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, 96, 64, generator=torch.Generator().manual_seed(1))


def equal(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, dict(places=EVERYWHERE), dict(gate=False), dict(num_residual_blocks=0)],
    ids=str,
)
@pytest.mark.parametrize("arch", ["r18", "dfine_s"])
def test_a_fresh_module_is_bitwise_the_identity(options, training, arch):
    vanilla = backbone(None, arch=arch).train(training)
    model = backbone(early(**options), arch=arch).train(training)
    assert equal(model(images()), vanilla(images()))
    norms = dict(vanilla.named_buffers())
    assert all(torch.equal(value, norms[name]) for name, value in model.named_buffers())


def test_identity_survives_init_weights():
    model = backbone(early(init_cfg=dict(type="Normal", layer=["Conv2d", "Linear"], std=1.0)))
    expected = backbone(None).eval()(images())
    model.derain.init_weights()
    assert model.derain.gate.reduce.weight.std() > 0.5
    assert equal(model.eval()(images()), expected)


@pytest.mark.parametrize("place", EVERYWHERE)
@pytest.mark.parametrize("arch", ["r18", "dfine_s"])
def test_a_block_cleans_what_later_stages_see_and_nothing_before(place, arch):
    vanilla = backbone(None, arch=arch).eval()
    model = opened(backbone(early(places=(place,), gate=False), arch=arch)).eval()
    same = [torch.equal(a, b) for a, b in zip(model(images()), vanilla(images()), strict=True)]
    untouched = max(0, EVERYWHERE.index(place) - 2)  # stages 2, 3 and 4 are given out
    assert same == [True] * untouched + [False] * (3 - untouched)


class TestGate:
    def test_starts_open_and_the_same_for_every_image(self):
        model = backbone(early()).train()
        model(images(3))
        torch.testing.assert_close(model.last_rain_gate.sigmoid(), torch.full((3,), 0.731), **LAX)

    def test_shut_means_bitwise_vanilla(self):
        model = opened(backbone(early(places=EVERYWHERE)))
        nn.init.constant_(model.derain.gate.judge[-1].bias, -1e4)
        assert equal(model.eval()(images()), backbone(None).eval()(images()))

    def test_full_means_as_without_a_gate(self):
        model, ungated = opened(backbone(early())), backbone(early(gate=False))
        nn.init.constant_(model.derain.gate.judge[-1].bias, 1e4)
        ungated.derain.blocks.load_state_dict(model.derain.blocks.state_dict())
        assert equal(model.eval()(images()), ungated.eval()(images()))

    def test_each_image_has_its_own(self):
        model = opened(backbone(early())).train()
        batch = images(3) * torch.tensor([0.01, 0.3, 1.0]).view(-1, 1, 1, 1)
        model.eval()
        together = model(batch)
        for i in range(3):
            for alone, level in zip(model(batch[i : i + 1]), together, strict=True):
                torch.testing.assert_close(alone[0], level[i], rtol=1e-4, atol=1e-5)

    def test_logits_and_masks_are_kept_only_while_training(self):
        model = opened(backbone(early()))
        model.train()(images(3))
        assert [mask.shape[:2] for mask in model.last_rain_masks] == [(3, 1), (3, 1)]
        assert copy.deepcopy(model).last_rain_masks == ()
        assert model.last_rain_gate.shape == (3,)
        assert model.last_rain_gate.dtype == torch.float32
        assert model.last_rain_gate.unique().numel() == 3
        assert model.last_rain_gate.requires_grad
        assert copy.deepcopy(model).last_rain_gate is None
        model.eval()(images())
        assert model.last_rain_gate is None
        assert model.last_rain_masks == ()

    @pytest.mark.parametrize("early_derain", [None, early(gate=False)])
    def test_there_are_none_without_a_gate(self, early_derain):
        model = backbone(early_derain).train()
        model(images())
        assert model.last_rain_gate is None

    def test_can_learn_which_images_have_fine_streaks(self):
        torch.manual_seed(0)
        gate = backbone(early()).derain.gate
        optimizer = torch.optim.AdamW(gate.parameters(), 5e-3)
        for _ in range(60):
            feats, rainy = streaked_feats()
            loss = nn.functional.binary_cross_entropy_with_logits(gate(feats), rainy)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        feats, rainy = streaked_feats()
        assert ((gate(feats) > 0) == rainy.bool()).float().mean() > 0.9

    def test_starts_blind_to_an_even_brightness(self):
        detail = backbone(early()).derain.gate.detail
        torch.testing.assert_close(detail(torch.ones(1, 8, 5, 5)), torch.zeros(1, 8, 2, 2), **LAX)

    def test_an_empty_image_has_finite_gradients(self):
        model = opened(backbone(early())).train()
        model(torch.zeros(2, 3, 32, 32))
        model.last_rain_gate.sum().backward()
        assert all(p.grad.isfinite().all() for p in model.derain.gate.parameters())


LAX = dict(rtol=0, atol=1e-3)


def streaked_feats() -> tuple[Tensor, Tensor]:
    """Smooth maps of any contrast; thin streaks on half of them."""
    smooth = nn.functional.interpolate(torch.randn(32, 8, 4, 4), size=24, mode="bilinear")
    rainy = (torch.arange(32) % 2).float()
    streaks = (torch.rand(32, 1, 1, 24) > 0.8) * rainy.view(-1, 1, 1, 1)
    return smooth * (0.2 + torch.rand(32, 1, 1, 1)) + 0.3 * streaks, rainy


@pytest.mark.parametrize("frozen_stages", [-1, 4])
@pytest.mark.parametrize("gate", [True, False])
def test_every_weight_gets_a_gradient_also_in_a_frozen_backbone(frozen_stages, gate):
    options = early(places=EVERYWHERE[:4], gate=gate)
    model = opened(backbone(options, frozen_stages=frozen_stages)).train()
    sum(feat.square().mean() for feat in model(images())).backward()
    for name, parameter in model.derain.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_fresh_module_can_start_to_learn():
    model = backbone(early()).train()
    sum(feat.square().mean() for feat in model(images())).backward()
    for block in model.derain.blocks.values():
        assert block.blend.grad
        assert block.expand.weight.grad.any()


def test_masks_are_one_per_place():
    model = opened(backbone(early(places=("stage2", "stem")))).eval()
    stem, stage2 = model.rain_masks(images())
    assert (stem.shape, stage2.shape) == ((2, 1, 24, 16), (2, 1, 12, 8))
    assert 0 <= stem.min() < stem.max() <= 1
    assert backbone(None).rain_masks(images()) == ()


def test_autocast_keeps_the_features_type():
    model, vanilla = backbone(early()).train(), backbone(None).train()
    with torch.autocast("cpu", torch.bfloat16):
        feats, expected = model(images()), vanilla(images())
    assert equal(feats, expected)
    assert model.last_rain_gate.dtype == torch.float32


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        (("stem", "stage5"), "stage5"),
        (("stem", "stem"), "stem"),
        ((), r"\(\)"),
        ("stem", "'stem'"),
        (None, "None"),
    ],
)
def test_impossible_places_are_refused(places, shown):
    with pytest.raises(ValueError, match=rf"'stem', 'stage1'.*got .*{shown}"):
        backbone(early(places=places))


@pytest.mark.parametrize("option", [dict(num_residual_blocks=-1), dict(reduction=0)])
def test_what_is_no_count_is_refused(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} must be"):
        backbone(early(**option))


class TestLoading:
    def test_a_vanilla_checkpoint_leaves_the_blocks_as_they_are(self, tmp_path, monkeypatch):
        said = []
        monkeypatch.setattr(loading, "print_log", lambda line, **_: said.append(line))
        vanilla, model = build(tiny_rtdetr_cfg()), build(detector_cfg())
        fresh = copy.deepcopy(model.backbone.derain.state_dict())
        torch.save(dict(state_dict=vanilla.state_dict()), tmp_path / "vanilla.pth")
        load_checkpoint(model, str(tmp_path / "vanilla.pth"))
        assert len(said) == 1
        assert "no early de-rain weights" in said[0]
        loaded = model.state_dict()
        assert all(torch.equal(value, loaded[name]) for name, value in vanilla.state_dict().items())
        assert all(torch.equal(fresh[name], loaded[f"backbone.derain.{name}"]) for name in fresh)

    def test_an_own_checkpoint_fills_everything(self, tmp_path):
        trained, model = build(detector_cfg()), build(detector_cfg())
        opened(trained.backbone)
        torch.save(dict(state_dict=trained.state_dict()), tmp_path / "own.pth")
        load_checkpoint(model, str(tmp_path / "own.pth"))
        ours = model.state_dict()
        assert all(torch.equal(value, ours[name]) for name, value in trained.state_dict().items())

    @pytest.mark.parametrize(
        ("lost", "words"),
        [
            ("backbone.derain.blocks.stem.blend", "misses 1: backbone.derain.blocks.stem.blend"),
            ("backbone.model.embedder.embedder.0.convolution.weight", "misses 1"),
        ],
    )
    def test_anything_else_missing_is_an_error(self, lost, words):
        state = build(detector_cfg()).state_dict()
        del state[lost]
        with pytest.raises(ValueError, match=words):
            build(detector_cfg()).load_state_dict(state, strict=False)

    def test_other_blocks_are_an_error(self):
        state = build(detector_cfg(places=("stem",))).state_dict()
        with pytest.raises(ValueError, match=r"misses 23: backbone.derain.blocks.stage1"):
            build(detector_cfg()).load_state_dict(state, strict=False)
        with pytest.raises(ValueError, match=r"unlike the model.*backbone.derain"):
            build(tiny_rtdetr_cfg()).load_state_dict(state, strict=False)

    def test_a_whole_detector_is_bitwise_vanilla_with_a_vanilla_checkpoint(self):
        vanilla, model = build(tiny_rtdetr_cfg()), build(detector_cfg())
        model.load_state_dict(vanilla.state_dict())
        with torch.no_grad():
            ours = model.eval()(images(), mode="tensor")
            expected = vanilla.eval()(images(), mode="tensor")
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


def detector_cfg(**options: object) -> dict:
    cfg = tiny_rtdetr_cfg()
    cfg["backbone"]["early_derain"] = early(**options)
    return cfg


def test_it_is_small():
    cfg = rtdetr_cfg("r18")["backbone"]
    model = build(dict(cfg, early_derain=early()))
    assert sum(p.numel() for p in model.derain.parameters()) < 5_000

"""``DerainBackbone``: early blocks in mmdet's backbones, whose checkpoints go on fitting."""

import copy
import pickle

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from derain_plugin.models import RTDETRBackbone, add_early_derain
from derain_plugin.models.backbones import remove_early_derain
from derain_plugin.models.necks.derain_neck import require_whole_checkpoint

EARLY = dict(type="EarlyFeatureDerain")
RESNET = dict(type="ResNet", depth=18, base_channels=8, init_cfg=None)
DARKNET = dict(type="CSPDarknet", deepen_factor=0.33, widen_factor=0.125)
SWIN = dict(
    type="SwinTransformer",
    embed_dims=16,
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 2, 2),
    drop_path_rate=0.0,
)
BACKBONES = {
    "resnet": (RESNET, {"maxpool": 8, "layer1": 8}),
    "resnet_v1d": (dict(RESNET, type="ResNetV1d", stem_channels=8), {"stem": 8, "layer1.0": 8}),
    "resnet50": (dict(RESNET, depth=50), {"layer1": 32, "layer2": 64}),
    "darknet": (DARKNET, {"stem": 8, "stage1": 16, "stage4": 128}),
    "cspnext": (dict(type="CSPNeXt", widen_factor=0.125), {"stem": 8, "stage1.1": 16}),
    "swin": (SWIN, {"patch_embed": 16, "stages.0": 16, "stages.3": 128}),
    "pvt": (
        dict(type="PyramidVisionTransformer", embed_dims=8, num_layers=[1, 1, 1, 1]),
        {"layers.0.0": 8, "layers.1.1.0": 16},
    ),
    "hrnet": (
        dict(
            type="HRNet",
            extra={
                "stage1": dict(
                    num_modules=1,
                    num_branches=1,
                    block="BOTTLENECK",
                    num_blocks=(1,),
                    num_channels=(8,),
                ),
                **{
                    f"stage{n}": dict(
                        num_modules=1,
                        num_branches=n,
                        block="BASIC",
                        num_blocks=(1,) * n,
                        num_channels=(8, 16, 32, 64)[:n],
                    )
                    for n in (2, 3, 4)
                },
            },
        ),
        {"norm2": 64, "layer1": 32},
    ),
    "mobilenet": (
        dict(type="MobileNetV2", out_indices=(1, 2), widen_factor=0.25),
        {"conv1": 8, "layer1": 8},
    ),
}


def build(cfg: dict, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return revert_sync_batchnorm(MODELS.build(copy.deepcopy(cfg)))


def derained(cfg: dict, places: object, **options: object) -> dict:
    return dict(
        type="DerainBackbone", backbone=cfg, early_derain={**EARLY, **options}, places=places
    )


def in_mode(model: nn.Module, *, training: bool) -> nn.Module:
    """mmdet's ``train`` and ``eval`` return nothing."""
    model.train(training)
    return model


def images() -> Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def equal(left, right) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def opened(backbone: nn.Module) -> nn.Module:
    for parameter in backbone.derain.parameters():
        nn.init.normal_(parameter, std=0.3)
    return backbone


@pytest.fixture(params=BACKBONES)
def pair(request) -> tuple[nn.Module, nn.Module, dict[str, int]]:
    """A vanilla backbone, one with blocks and the vanilla weights, and channels by place."""
    cfg, channels = BACKBONES[request.param]
    vanilla, model = build(cfg), build(derained(cfg, list(channels)), seed=1)
    assert model.load_state_dict(vanilla.state_dict()) == ([], [])
    return vanilla, model, channels


@torch.no_grad()
def test_every_backbone_of_mmdet_can_have_blocks(pair):
    vanilla, model, channels = pair
    assert type(model) is type(vanilla)
    blocks = model.derain.blocks
    assert {name: block.reduce.in_channels for name, block in blocks.items()} == {
        place.replace(".", "_"): number for place, number in channels.items()
    }
    own = {key for key in model.state_dict() if not key.startswith("derain.")}
    assert own == set(vanilla.state_dict())
    for training in (True, False):
        assert equal(
            in_mode(model, training=training)(images()),
            in_mode(vanilla, training=training)(images()),
        )
    assert equal(model.buffers(), vanilla.buffers())
    before = model(images())
    moved = opened(model)(images())
    assert not torch.equal(moved[-1], before[-1])
    assert [feat.shape for feat in moved] == [feat.shape for feat in before]
    by_place = [mask_of(model, block) for block in blocks.values()]
    assert all(mask.shape[:2] == (2, 1) for mask in by_place)


def mask_of(model: nn.Module, block: nn.Module) -> Tensor:
    masks = []
    handle = block.register_forward_hook(lambda *args: masks.append(args[-1][1]))
    model(images())
    handle.remove()
    (mask,) = masks  # each block runs once
    return mask


def test_the_gate_looks_at_the_first_map_whatever_the_order_of_places():
    model = opened(build(derained(DARKNET, ["stage1", "stem"])))
    stem = in_mode(model, training=False).stem(images())
    assert list(model.derain.blocks) == ["stem", "stage1"]
    seen = []
    model.derain.gate.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(images())
    assert len(seen) == 1
    assert seen[0].shape == stem.shape


def test_blocks_clean_as_by_hand():
    model = in_mode(opened(build(derained(DARKNET, ["stem", "stage1"]))), training=False)
    vanilla = in_mode(build(DARKNET), training=False)
    vanilla.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("derain")}
    )
    stem = vanilla.stem(images())
    logits = model.derain.rain_logits(stem)
    x = vanilla.stage1(model.derain(stem, "stem", logits)[0])
    x = model.derain(x, "stage1", logits)[0]
    outs = []
    for name in ("stage2", "stage3", "stage4"):
        x = getattr(vanilla, name)(x)
        outs.append(x)
    assert equal(model(images()), outs)


def test_swin_gives_out_and_passes_on_the_cleaned_map():
    model = in_mode(opened(build(derained(SWIN, ["stages.1"], gate=False))), training=False)
    vanilla = in_mode(build(SWIN), training=False)
    vanilla.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("derain")}
    )
    same = [torch.equal(a, b) for a, b in zip(model(images()), vanilla(images()), strict=True)]
    assert same == [True, False, False, False]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_blocks_of_its_own(copied):
    model = in_mode(opened(build(derained(DARKNET, ["stem", "stage1"]))), training=False)
    expected = model(images())
    other = copied(model)
    nn.init.zeros_(model.derain.blocks["stem"].expand.weight)
    assert equal(other(images()), expected)
    assert not equal(model(images()), expected)


def test_frozen_stages_stay_frozen_and_the_blocks_train():
    model = in_mode(
        opened(build(derained(dict(DARKNET, frozen_stages=4), ["stem", "stage1"]))), training=True
    )
    sum(feat.square().mean() for feat in model(images())).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == name.startswith(
            "derain."
        ), name


@pytest.mark.parametrize("cfg", [RESNET, SWIN], ids=["resnet", "swin"])
def test_identity_survives_init_weights(cfg):
    init = dict(type="Normal", layer=["Conv2d"], std=0.1)
    place = "maxpool" if cfg is RESNET else "patch_embed"
    model = build(derained(dict(cfg, init_cfg=init if cfg is RESNET else None), [place]))
    model.init_weights()
    vanilla = build(cfg)
    vanilla.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("derain")}
    )
    assert equal(
        in_mode(model, training=False)(images()), in_mode(vanilla, training=False)(images())
    )


def test_a_loaded_backbone_gets_blocks_and_keeps_its_modes_and_type():
    vanilla = build(DARKNET).double()
    vanilla.stage1.eval()
    norms = copy.deepcopy(list(vanilla.buffers()))
    assert add_early_derain(vanilla, EARLY, ["stem"]) is vanilla
    assert equal(vanilla.buffers(), norms)
    assert (vanilla.stem.training, vanilla.stage1.training) == (True, False)
    assert vanilla.derain.blocks["stem"].reduce.weight.dtype == torch.float64


@pytest.mark.parametrize(
    "copied", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize("name", ["darknet", "swin"])
def test_taken_out_the_backbone_is_what_it_was(name, copied):
    cfg, channels = BACKBONES[name]
    vanilla = in_mode(build(cfg), training=False)
    model = copied(in_mode(opened(build(derained(cfg, list(channels)))), training=False))
    cleaned = model(images())
    blocks = remove_early_derain(model)
    assert list(model.state_dict()) == list(vanilla.state_dict())
    assert [name for name, _ in model.named_modules()] == [n for n, _ in vanilla.named_modules()]
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module._load_state_dict_pre_hooks for module in model.modules())
    model.load_state_dict(vanilla.state_dict())
    assert equal(model(images()), vanilla(images()))
    assert add_early_derain(model, blocks, list(channels)) is model
    assert [feat.shape for feat in model(images())] == [feat.shape for feat in cleaned]
    assert not equal(model(images()), vanilla(images()))


def test_given_channels_need_no_dry_run(monkeypatch):
    monkeypatch.setattr(MODELS.get("CSPDarknet"), "forward", None)
    model = build(derained(DARKNET, ["stem"], stage_channels=dict(stem=8)))
    assert model.derain.blocks["stem"].reduce.in_channels == 8
    with pytest.raises(ValueError, match=r"cannot run .*stage_channels"):
        build(derained(DARKNET, ["stem"]))
    with pytest.raises(ValueError, match="stage_channels must be of the places"):
        build(derained(DARKNET, ["stem"], stage_channels=dict(stage1=8)))


@pytest.mark.parametrize(
    ("cfg", "places", "words"),
    [
        (RESNET, ["stem", "layer1"], r"modules of ResNet, such as conv1, .*layer1.*got 'stem'"),
        (SWIN, ["stages"], r"stages.0, .*got 'stages'"),
        (DARKNET, [""], "got ''"),
        (DARKNET, "stem", "list of module names.*'stem'"),
        (DARKNET, [], "list of module names"),
        (DARKNET, ["stem", "stem"], "each once"),
        (RESNET, ["layer1.0.relu"], r"'layer1.0.relu' runs 2 times"),
        (RESNET, ["avgpool"], r"got 'avgpool'"),
        (BACKBONES["hrnet"][0], ["stage2"], r"'stage2' gives a list of 2.*inside it"),
        (SWIN, ["stages.0.downsample.norm"], r"gives a tensor \(1, 64, 64\)"),
    ],
)
def test_impossible_places_are_refused(cfg, places, words):
    with pytest.raises(ValueError, match=words):
        build(derained(cfg, places))


def test_a_backbone_gets_blocks_once():
    with pytest.raises(ValueError, match="`derain` of its own"):
        build(derained(derained(DARKNET, ["stem"]), ["stage1"]))
    with pytest.raises(ValueError, match="RTDETRBackbone has a `derain`"):
        add_early_derain(RTDETRBackbone("r18"), EARLY, ["model"])


class TestDetector:
    """A YOLOX with blocks in its backbone and a de-rain neck."""

    def test_a_vanilla_checkpoint_loads_and_predicts_bitwise_the_same(self, tmp_path):
        vanilla, model = build(yolox()), build(yolox(["stem", "stage1"]), seed=1)
        require_whole_checkpoint(model)
        torch.save(dict(state_dict=vanilla.state_dict()), tmp_path / "vanilla.pth")
        load_checkpoint(model, str(tmp_path / "vanilla.pth"))
        with torch.no_grad():
            ours, theirs = (m.eval()(images(), mode="tensor") for m in (model, vanilla))
        assert all(equal(a, b) for a, b in zip(ours, theirs, strict=True))

    def test_an_own_checkpoint_fills_everything(self):
        trained, model = build(yolox(["stem"])), build(yolox(["stem"]), seed=1)
        opened(trained.backbone)
        model.load_state_dict(trained.state_dict())
        assert equal(model.state_dict().values(), trained.state_dict().values())

    @pytest.mark.parametrize("neck", [True, False])
    @pytest.mark.parametrize(
        "lost", ["backbone.derain.blocks.stem.blend", "backbone.stem.conv.conv.weight"]
    )
    def test_anything_else_missing_is_an_error(self, neck, lost):
        model = build(yolox(["stem"], neck=neck))
        require_whole_checkpoint(model)
        state = model.state_dict()
        del state[lost]
        with pytest.raises(ValueError, match=f"misses 1: {lost}"):
            model.load_state_dict(state, strict=False)


def yolox(places: list[str] | None = None, *, neck: bool = True) -> dict:
    pafpn = dict(type="YOLOXPAFPN", in_channels=[32, 64, 128], out_channels=16, num_csp_blocks=1)
    derain = dict(type="LightweightFeatureDerain", in_channels=[32, 64, 128])
    return dict(
        type="YOLOX",
        backbone=derained(DARKNET, places) if places else DARKNET,
        neck=dict(type="DerainNeck", derain=derain, neck=pafpn) if places and neck else pafpn,
        bbox_head=dict(type="YOLOXHead", num_classes=2, in_channels=16, feat_channels=16),
    )

"""The de-rain neck inside RT-DETR: vanilla weights fit, and nothing changes until it is trained."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from tiny_rtdetr import (
    FAMILY,
    GROUPED,
    TINY,
    TINY_OF,
    build,
    data_samples,
    tiny_rtdetr_cfg,
    tiny_twin,
)

pytestmark = pytest.mark.usefixtures("installed")
CONFIGS = Path(__file__).parents[3] / "configs"
NECKS = ["MultiScaleFeatureDerain", "LightweightFeatureDerain"]
OTHER_CHANNELS = dict(deimv2_atto=[24], deimv2_s=[32] * 3, deimv2_x=[32] * 3)
OTHER_CHANNELS |= dict.fromkeys(GROUPED, [32] * 2)


def derained_cfg(derain, **overrides):
    cfg = tiny_rtdetr_cfg(**overrides)
    channels = OTHER_CHANNELS.get(overrides.get("arch"), [16, 24, 32])
    cfg["neck"] = dict(
        type="DerainNeck", derain=dict(type=derain, in_channels=channels), neck=cfg["neck"]
    )
    return cfg


def through_load_checkpoint(cfg, source):
    model = build(cfg)
    load_checkpoint(model, source)
    return model


def through_init_detector(cfg, source):
    config = Config(dict(model=cfg, test_dataloader=dict(dataset={})))
    return init_detector(config, source, device="cpu", palette="random")


def through_init_cfg(cfg, source):
    model = build(dict(cfg, init_cfg=dict(type="Pretrained", checkpoint=source)))
    model.init_weights()
    return model


@pytest.fixture(scope="module")
def arch(request):
    return getattr(request, "param", "r18")


@pytest.fixture(scope="module")
def twin(arch):
    return tiny_twin(arch).eval()


@pytest.mark.parametrize("derain", NECKS)
@pytest.mark.parametrize("load", [through_load_checkpoint, through_init_detector, through_init_cfg])
@pytest.mark.parametrize("arch", [*FAMILY, *GROUPED], indirect=True)
def test_vanilla_hf_weights_give_bitwise_vanilla_outputs(load, derain, twin, arch, tmp_path):
    twin.save_pretrained(tmp_path)
    vanilla = load(tiny_rtdetr_cfg(arch=arch), f"hf://{tmp_path}").eval()
    model = load(derained_cfg(derain, arch=arch), f"hf://{tmp_path}").eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        for ours, expected in zip(
            model(images, mode="tensor"), vanilla(images, mode="tensor"), strict=True
        ):
            assert torch.equal(ours, expected)


@pytest.mark.parametrize("derain", NECKS)
@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED])
def test_losses_are_vanilla_and_every_weight_gets_a_gradient(derain, arch):
    torch.manual_seed(0)
    vanilla = build(tiny_rtdetr_cfg(arch=arch))
    model = build(derained_cfg(derain, arch=arch))
    model.load_state_dict(copy.deepcopy(vanilla.state_dict()))
    images, samples = torch.rand(2, 3, 64, 64), data_samples([2, 3], (64, 64))
    torch.manual_seed(1)
    expected = vanilla.train()(images, samples, mode="loss")
    torch.manual_seed(1)
    losses = model.train()(images, samples, mode="loss")
    for name, loss in losses.items():
        assert torch.equal(loss, expected[name]), name
    sum(losses.values()).backward()
    derain_gradients = [p.grad for p in model.neck.derain.parameters()]
    assert all(gradient is not None for gradient in derain_gradients)
    assert any(gradient.any() for gradient in derain_gradients)


@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED])
def test_a_step_moves_what_its_phase_trains(arch):
    torch.manual_seed(0)
    model = build(derained_cfg(NECKS[0], arch=arch)).train()
    constants = {name for name, p in model.named_parameters() if not p.requires_grad}
    parts = {name.rpartition(".")[2] for name in constants}
    refines = arch.startswith(("dfine", "deimv2"))
    vit = {"mask_token"} if arch in ("deimv2_s", "deimv2_x") else set()
    if arch not in GROUPED:  # whose last layer has no effect
        assert parts == ({"up", "reg_scale"} if refines else set()) | vit
    neck = model.neck.derain.parameters()
    moved = moved_by_a_step(model, neck)
    assert moved
    assert all(name.startswith("neck.derain.") for name in moved)
    moved = moved_by_a_step(model, model.parameters())
    for part in ("backbone.", "neck.derain.", "neck.neck.encoder.", "bbox_head.detr.model."):
        assert any(name.startswith(part) for name in moved), part
    assert not moved & constants


def moved_by_a_step(model, parameters):
    """Names of the parameters that one step of AdamW on some of them changes."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    images, samples = torch.rand(2, 3, 64, 64), data_samples([2, 3], (64, 64))
    model.zero_grad()
    sum(model(images, samples, mode="loss").values()).backward()
    optimizer.step()
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def test_checkpoint_of_another_architecture_is_refused(tmp_path):
    other = build(tiny_rtdetr_cfg(decoder_layers=3))
    torch.save({"state_dict": other.state_dict()}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="does not fit"):
        load_checkpoint(build(derained_cfg(NECKS[0])), str(tmp_path / "other.pth"))


def test_derained_checkpoint_does_not_go_into_a_vanilla_model(tmp_path):
    torch.save({"state_dict": build(derained_cfg(NECKS[0])).state_dict()}, tmp_path / "d.pth")
    with pytest.raises(ValueError, match=r"neck\.derain"):
        load_checkpoint(build(tiny_rtdetr_cfg()), str(tmp_path / "d.pth"))


def test_channels_must_be_the_backbones():
    cfg = derained_cfg(NECKS[0])
    cfg["neck"]["derain"]["in_channels"] = [16, 24, 64]
    with pytest.raises(ValueError, match=r"\(16, 24, 64\).*\(16, 24, 32\)"):
        build(cfg)


def test_mmdets_inference_runs_on_an_image_file(twin, coco_root, tmp_path):
    twin.save_pretrained(tmp_path)
    tiny = ", ".join(f"{key}={value!r}" for key, value in TINY.items())
    path = tmp_path / "tiny.py"
    path.write_text(
        f"_base_ = {str(CONFIGS / 'rtdetr_r18_featderain_ms.py')!r}\n"
        f"model = dict(backbone=dict({tiny}), bbox_head=dict({tiny}, num_classes=2), "
        f"neck=dict(derain=dict(in_channels=[16, 24, 32]), neck=dict({tiny})))\n"
    )
    model = init_detector(str(path), f"hf://{tmp_path}", device="cpu", palette="random")
    image = next((coco_root / "val2017").iterdir())
    result = inference_detector(model, str(image))
    assert len(result.pred_instances) == 60
    height, width = result.ori_shape
    assert (result.pred_instances.bboxes <= torch.tensor([width, height] * 2) + 1e-3).all()

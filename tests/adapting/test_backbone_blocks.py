"""Blocks inside and in front of a frozen detector's backbone, in its adapter, and out again."""

import json

import cv2
import pytest
import torch
from mmdet.registry import MODELS
from safetensors.torch import load_file, save_file
from small_detectors import EARLY, TRANSFORMERS, frozen, model_of, prepare_for
from test_frozen_detector import batch_of, shake
from tiny_rtdetr import our_copy, tiny_rtdetr_cfg, tiny_twin

from derain_plugin.adapting import adapt, load_adapter, remove_adapter, save_adapter
from derain_plugin.adapting.adapter import derain_of
from derain_plugin.adapting.adapter_file import CONFIG, WEIGHTS
from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.early_blocks import (
    build_early,
    early_of,
    put_early_in,
    take_early_out,
)
from derain_plugin.adapting.front_filter import build_filter, filter_of, take_filter_out
from derain_plugin.adapting.frozen_detector import DERAIN, freeze
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import Adaptation, Schedule
from derain_plugin.export.detector_graph import DetectorGraph
from derain_plugin.hf import FeatureDerainRTDetr
from derain_plugin.hf.hf_checkpoint import load_from_hf
from derain_plugin.models import add_early_derain

ALL = {"derain", "early", "image_filter"}


@pytest.fixture(scope="module", params=EARLY)
def pair(request):
    """A name, and its detector with a filter, early blocks and a neck."""
    return request.param, frozen(request.param, early=EARLY[request.param], image_filter=True)


@pytest.fixture(params=EARLY)
def adapted(request, tmp_path):
    """Name, detector and the folder of its adapter."""
    detector = frozen(request.param, early=EARLY[request.param], image_filter=True)
    moved(detector)
    save_adapter(detector, tmp_path, base="some/detector", derain=DERAIN)
    return request.param, detector, tmp_path


def moved(detector):
    for block in detector.blocks.values():
        shake(block)
    return detector


def hooks_of(model) -> int:
    hooks = (h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks))
    return sum(map(len, hooks))


def everything(model) -> tuple[list[str], list[str], int, str]:
    modules = [name for name, _ in model.named_modules()]
    return list(model.state_dict()), modules, hooks_of(model), hash_of(model.state_dict())


def same(left, right) -> bool:
    return torch.equal(left.scores, right.scores) and torch.equal(left.bboxes, right.bboxes)


def test_fresh_blocks_change_nothing(pair, photos):
    name, detector = pair
    image = cv2.imread(str(photos[0]))
    assert same(detector.detect(image), frozen(name).detect(image))
    losses = Adaptation(detector, LossWeights())(**batch_of(detector, photos, clean_share=1.0))
    for loss in losses.values():
        assert loss.item() == pytest.approx(0, abs=1e-4)


def test_gradients_reach_the_blocks_alone(pair, photos):
    _, detector = pair
    fresh = {
        k: {n: v.clone() for n, v in b.state_dict().items()} for k, b in detector.blocks.items()
    }
    before = hash_of(detector.weights())
    moved(detector)
    model = Adaptation(detector, LossWeights())
    losses = model(**batch_of(detector, photos))
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == ALL
    for loss in losses.values():
        detector.model.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        for block in detector.blocks.values():
            assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())
    trained = {id(p) for p in model.parameters()}
    others = [p for p in detector.model.parameters() if id(p) not in trained]
    assert all(parameter.grad is None for parameter in others)
    assert len(others) + len(trained) == len(list(detector.model.parameters()))
    assert hash_of(detector.weights()) == before
    for name, block in detector.blocks.items():
        block.load_state_dict(fresh[name])
    detector.model.zero_grad(set_to_none=True)


def test_the_teacher_has_none_of_the_blocks(photos):
    detector = moved(frozen("yolox", early=EARLY["yolox"], image_filter=True))
    vanilla = frozen("yolox")
    batch = batch_of(detector, photos)
    images, samples = detector.preprocess(batch["clean"])
    student, teacher = Adaptation(detector, LossWeights())._extract_apart(images, images, samples)
    expected = vanilla.extract(images)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(teacher, expected, strict=True))
    assert not any(feat.requires_grad for feat in teacher)
    assert not torch.allclose(student[0], expected[0], atol=1e-3)
    assert all(feat.requires_grad for feat in student)


def test_without_them_nothing_is_kept_for_gradients(photos):
    detector = frozen("yolox")
    images, _ = detector.preprocess(batch_of(detector, photos)["clean"])
    for parameter in detector.model.backbone.parameters():
        parameter.requires_grad_(True)
    assert not any(feat.requires_grad for feat in detector.extract(images))


def test_an_adapter_brings_its_blocks_and_takes_them_away(adapted, photos):
    name, detector, folder = adapted
    model = model_of(name)
    before = everything(model)
    loaded = load_adapter(model, folder)
    image = cv2.imread(str(photos[0]))
    again = freeze(loaded, prepare_for(name))
    assert hash_of(again.weights()) == hash_of(detector.weights())
    found = detector.detect(image)
    assert same(again.detect(image), found)
    with again.plain():
        assert same(again.detect(image), frozen(name).detect(image))
    removed = remove_adapter(loaded)
    assert removed is model
    keys, modules, hooks, weights = everything(removed)
    noted = 0 if name in TRANSFORMERS else 2  # leave_padding_out stays
    assert (keys, modules, hooks - noted, weights) == before
    assert early_of(removed) is filter_of(removed) is None
    assert same(freeze(load_adapter(removed, folder), prepare_for(name)).detect(image), found)


def test_what_the_files_say(adapted):
    name, detector, folder = adapted
    config = json.loads((folder / CONFIG).read_text())
    places = config["early"]["places"]
    assert set(places) == set(EARLY[name])
    placement = f"before the detector's neck, and after {', '.join(places)} of its backbone"
    assert config["placement"] == f"in front of the backbone, and {placement}"
    assert config["image_filter"] == detector.image_filter.settings
    weights = load_file(folder / WEIGHTS)
    assert {k.partition(".")[0] for k in weights} == {"blocks", "early", "image_filter"}
    assert sum(map(torch.Tensor.numel, weights.values())) == sum(
        tensor.numel()
        for block in detector.blocks.values()
        for tensor in block.state_dict().values()
    )


def test_one_adapter_serves_both_libraries(tmp_path):
    twin = tiny_twin("r18")
    ours = our_copy(twin, tiny_rtdetr_cfg()).eval()
    blocks = build_early(ours, ("stage1", "stage2"))
    front = build_filter(ours, None)
    detector = moved(freeze(ours, prepare_for("rtdetr"), early=blocks, image_filter=front))
    save_adapter(detector, tmp_path, base="ours", derain=DERAIN)
    loaded = load_adapter(twin.eval(), tmp_path)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        logits, _ = ours(images, mode="tensor")
        assert torch.equal(loaded(images).logits, logits)
        loaded.image_filter = None
        without = loaded(images).logits
        assert not torch.equal(without, logits)
        loaded.set_early_derain(None)
        assert not torch.equal(loaded(images).logits, without)


@pytest.mark.parametrize("name", ["transformers", "dfine"])
def test_a_model_of_transformers_saves_and_loads_its_blocks(name, tmp_path):
    detector = moved(frozen(name, early=EARLY[name], image_filter=True))
    detector.model.save_pretrained(tmp_path)
    loaded = FeatureDerainRTDetr.from_pretrained(tmp_path).eval()
    assert hash_of(loaded.state_dict()) == hash_of(detector.model.state_dict())
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(loaded(images).logits, detector.model(images).logits)
    checkpoint = load_from_hf(f"hf://{tmp_path}")["state_dict"]
    plain = tiny_rtdetr_cfg(arch=TRANSFORMERS[name])
    ours = MODELS.build(with_all(plain, EARLY[name], detector.image_filter.settings)).eval()
    ours.load_state_dict(checkpoint)
    with torch.no_grad():
        logits, _ = ours(images, mode="tensor")
    assert torch.equal(logits, detector.model(images).logits)
    assert everything(remove_adapter(loaded))[:3] == everything(model_of(name))[:3]


def with_all(cfg: dict, places, image_filter) -> dict:
    derain = dict(DERAIN, in_channels=(16, 24, 32))
    early = dict(type="EarlyFeatureDerain", places=places)
    backbone = dict(cfg["backbone"], early_derain=early)
    return dict(
        cfg,
        backbone=dict(type="FilteredBackbone", backbone=backbone, image_filter=image_filter),
        neck=dict(type="DerainNeck", derain=derain, neck=cfg["neck"]),
    )


def test_an_exported_graph_has_the_blocks(tmp_path):
    """For ONNX and OpenVINO; that files agree with it is tested in tests/export."""
    detector = moved(frozen("rtdetr", early=EARLY["rtdetr"], image_filter=True))
    save_adapter(detector, tmp_path, base="x", derain=DERAIN)
    images, sizes = torch.randint(256, (1, 3, 64, 96), dtype=torch.uint8), torch.tensor([[64, 96]])

    def scores(model) -> torch.Tensor:
        with torch.no_grad():
            return DetectorGraph(model)(images, sizes)[1]

    loaded = load_adapter(model_of("rtdetr"), tmp_path)
    assert torch.equal(scores(loaded), scores(detector.model))
    take_filter_out(loaded)
    without = scores(loaded)
    assert not torch.equal(without, scores(detector.model))
    take_early_out(loaded)
    assert not torch.equal(scores(loaded), without)


@pytest.mark.parametrize(
    ("name", "places", "message"),
    [
        ("yolox", ["layer1"], "modules of CSPDarknet, such as stem, stage1.*got 'layer1'"),
        ("retinanet", ["maxpool", "maxpool"], "each once"),
        ("swin", ["stages"], "stages.0, .*got 'stages'"),
        ("rtdetr", ["layer1"], r"one or several of \['stem', 'stage1'.*got \['layer1'\]"),
        ("dfine", "stem", r"one or several of \['stem', 'stage1'"),
    ],
)
def test_modules_that_are_not_there_end_it_before_any_work(name, places, message, tmp_path):
    model = model_of(name)
    before = everything(model)
    with pytest.raises(ValueError, match=message):
        adapt(model, ["nowhere"], tmp_path / "out", prepare=prepare_for(name), early=places)
    assert everything(model) == before
    assert not (tmp_path / "out").exists()


def test_blocks_of_its_own_are_the_detectors(tmp_path):
    """Early blocks that a detector was trained with stay, and count as its weights."""
    model = model_of("yolox")
    add_early_derain(model.backbone, dict(type="EarlyFeatureDerain"), ["stem"])
    with pytest.raises(ValueError, match="has early de-rain blocks, and cannot have others"):
        build_early(model, ["stage1"])
    before = everything(model)
    detector = freeze(model, prepare_for("yolox"))
    assert hash_of(detector.weights()) == before[-1]
    detector.take_out()
    assert everything(model)[:2] == before[:2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config, weights: config["early"].update(type="os.system"), "early must have type"),
        (lambda config, weights: config["early"].pop("places"), "early must have type"),
        (lambda config, weights: config["image_filter"].update(type="x"), "image_filter must have"),
        (lambda config, weights: config["image_filter"].pop("mean"), "image_filter must have"),
        (lambda config, weights: config.pop("image_filter"), "does not fit the MultiScaleFeature"),
        (
            lambda config, weights: weights.pop("image_filter.strengths.bias"),
            "does not fit the AdapterFilter.*misses 1: strengths.bias",
        ),
        (lambda config, weights: config.pop("early"), "does not fit the MultiScaleFeatureDerain"),
        (
            lambda config, weights: weights.pop("early.blocks.stem.blend"),
            "does not fit the AdapterBlocks.*misses 1: blocks.stem.blend",
        ),
    ],
)
def test_damaged_files_are_refused(change, message, tmp_path):
    detector = frozen("yolox", early=["stem"], image_filter=True)
    save_adapter(detector, tmp_path, base="x", derain=DERAIN)
    config, weights = json.loads((tmp_path / CONFIG).read_text()), load_file(tmp_path / WEIGHTS)
    change(config, weights)
    (tmp_path / CONFIG).write_text(json.dumps(config))
    save_file(weights, tmp_path / WEIGHTS)
    model = model_of("yolox")
    before = everything(model)
    with pytest.raises(ValueError, match=message):
        load_adapter(model, tmp_path)
    assert everything(model) == before
    assert derain_of(model) is None


def test_another_adapters_blocks_take_the_place_of_the_first(photos):
    detector = moved(frozen("yolox", early=["stem"]))
    other = build_early(model_of("yolox"), ["stage1"])
    put_early_in(detector.model, other)
    assert early_of(detector.model) is other
    image = cv2.imread(str(photos[0]))
    detector.derain.load_state_dict(frozen("yolox").derain.state_dict())
    assert same(detector.detect(image), frozen("yolox").detect(image))


def test_a_schedule_keeps_the_modules_for_a_resumed_run():
    assert Schedule(1, early=("stem",)).record()["early"] == ["stem"]

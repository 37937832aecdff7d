from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.structures import InstanceData
from tiny_rtdetr import TINY, tiny_rtdetr_cfg, transformers_twin

from derain_plugin.apis import Detector
from derain_plugin.apis.base_predictor import select
from derain_plugin.datasets.labels.classes import COCO_NAMES
from derain_plugin.hf.hf_checkpoint import to_mmdet_keys

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(64, 64), keep_ratio=False),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs"),
]
NEVER_READ = dict(
    type="CocoDataset", ann_file="missing.json", data_prefix=dict(img="missing"), pipeline=PIPELINE
)
DERAIN = dict(type="MultiScaleFeatureDerain", in_channels=(16, 24, 32))
RTMDET = """
_base_ = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
model = dict(
    backbone=dict(init_cfg=None, widen_factor=0.25),
    neck=dict(in_channels=[64, 128, 256], out_channels=32),
    bbox_head=dict(num_classes=2, in_channels=32, feat_channels=32),
    test_cfg=dict(score_thr=0.0, min_bbox_size=-1, nms_pre=50, max_per_img=5),
)
"""


def write_config(folder: Path, model: dict, dataset: dict) -> str:
    cfg = dict(model=model, test_dataloader=dict(dataset=dataset))
    Config(cfg).dump(folder / "tiny.py")
    return str(folder / "tiny.py")


def write_weights(folder: Path, classes=None, num_classes=2) -> str:
    state_dict = to_mmdet_keys(transformers_twin(num_classes=num_classes, **TINY).state_dict())
    meta = dict(dataset_meta=dict(classes=classes)) if classes else {}
    torch.save(dict(state_dict=state_dict, meta=meta), folder / "tiny.pth")
    return str(folder / "tiny.pth")


@pytest.fixture
def model():
    return dict(tiny_rtdetr_cfg(), test_cfg=dict(max_per_img=7))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)


def test_detects_as_mmdet_does_without_the_data(tmp_path, model, image):
    several = dict(type="ConcatDataset", datasets=[NEVER_READ, NEVER_READ])
    weights = write_weights(tmp_path, ("square", "disc"))
    detector = Detector(write_config(tmp_path, model, several), weights, device="cpu")
    found = detector.detect(image)
    alone = init_detector(write_config(tmp_path, model, NEVER_READ), weights, device="cpu")
    expected = inference_detector(alone, image).pred_instances
    assert len(found) == 7
    for name in ("bboxes", "scores", "labels"):
        assert torch.equal(found[name], expected[name])
    assert detector.name == "tiny"
    assert detector.classes == ("square", "disc")


def test_any_detector_of_mmdet(tmp_path, image):
    (tmp_path / "rtmdet.py").write_text(RTMDET)
    cfg = Config.fromfile(tmp_path / "rtmdet.py")
    torch.manual_seed(0)
    network = revert_sync_batchnorm(MODELS.build(cfg.model))
    meta = dict(dataset_meta=dict(CLASSES=("a", "b"), palette=[(1, 2, 3)]))
    torch.save(dict(state_dict=network.state_dict(), meta=meta), tmp_path / "a.pth")
    detector = Detector(str(tmp_path / "rtmdet.py"), str(tmp_path / "a.pth"), device="cpu")
    assert len(detector.detect(image)) == 5
    assert detector.classes == ("a", "b")
    with pytest.raises(ValueError, match="RTMDet has no DerainNeck"):
        detector.record_masks()


def test_names_of_a_checkpoint_of_mmdet_2(tmp_path, model):
    weights = write_weights(tmp_path)
    content = torch.load(weights)
    torch.save(dict(content, meta=dict(epoch=3, CLASSES=("x", "y"))), weights)
    config = write_config(tmp_path, model, NEVER_READ)
    assert Detector(config, weights, device="cpu", name="old").classes == ("x", "y")


@pytest.mark.parametrize("saved", [None, ("a", "b"), ("LABEL_0", "LABEL_1")])
def test_names_are_the_configs_where_the_checkpoint_says_nothing_else(tmp_path, model, saved):
    config = write_config(tmp_path, model, dict(NEVER_READ, metainfo=dict(classes=("a", "b"))))
    assert Detector(config, write_weights(tmp_path, saved), device="cpu").classes == ("a", "b")


@pytest.mark.parametrize("saved", [("square", "disc"), ("b", "a"), ("one", "two", "three")])
def test_a_checkpoint_of_other_names_is_refused(tmp_path, model, saved):
    config = write_config(tmp_path, model, dict(NEVER_READ, metainfo=dict(classes=("a", "b"))))
    with pytest.raises(ValueError, match=rf"the config has \(a, b\).*classes={','.join(saved)}"):
        Detector(config, write_weights(tmp_path, saved), device="cpu")


@pytest.mark.parametrize("saved", [("square", "disc"), None])
def test_forgotten_classes_are_no_random_class_layers(tmp_path, saved):
    config = write_config(tmp_path, tiny_rtdetr_cfg(80), NEVER_READ)
    with pytest.raises(ValueError, match="classes=square,disc" if saved else "another number"):
        Detector(config, write_weights(tmp_path, saved), device="cpu")


def test_refuses_to_guess_names(tmp_path, model):
    config = write_config(tmp_path, model, NEVER_READ)
    with pytest.raises(ValueError, match="has 2 classes, but the checkpoint and the config name 3"):
        Detector(config, write_weights(tmp_path, ("one", "two", "three")), device="cpu")


@pytest.mark.parametrize(
    "names",
    [
        None,
        tuple(name.replace(" ", "_") for name in COCO_NAMES),
        tuple({"couch": "sofa", "tv": "tvmonitor"}.get(name, name) for name in COCO_NAMES),
    ],
)
def test_coco_is_spelled_as_coco_spells_it(tmp_path, names):
    config = write_config(tmp_path, tiny_rtdetr_cfg(80), NEVER_READ)
    weights = write_weights(tmp_path, names, num_classes=80)
    assert Detector(config, weights, device="cpu").classes == COCO_NAMES


def test_masks_are_those_of_the_last_image(tmp_path, model, image):
    model["neck"] = dict(type="DerainNeck", derain=DERAIN, neck=model["neck"])
    config = write_config(tmp_path, model, NEVER_READ)
    detector = Detector(config, write_weights(tmp_path, ("a", "b")), device="cpu")
    expected = detector.detect(image)
    assert detector.take_masks() is None
    detector.record_masks()
    found = detector.detect(image)
    assert torch.equal(found.scores, expected.scores)
    masked = detector.take_masks()
    assert [mask.shape for mask in masked.masks] == [(8, 8), (4, 4), (2, 2)]
    assert masked.strides == (8, 16, 32)


def test_a_config_that_cannot_prepare_images(tmp_path, model):
    Config(dict(model=model)).dump(tmp_path / "tiny.py")
    with pytest.raises(ValueError, match=r"tiny.py has no pipeline in test_dataloader.dataset"):
        Detector(str(tmp_path / "tiny.py"), "missing.pth", device="cpu")


def test_labels_of_names(tmp_path, model):
    config = write_config(tmp_path, model, NEVER_READ)
    detector = Detector(config, write_weights(tmp_path, ("square", "disc")), device="cpu")
    assert detector.labels_of(["disc"]) == [1]
    assert detector.labels_of(None) == [0, 1]
    with pytest.raises(ValueError, match="no class 'car', 'Disc'; its classes are square, disc"):
        detector.labels_of(["car", "disc", "Disc"])


def test_selects_by_score_and_label():
    found = InstanceData(
        bboxes=torch.arange(16.0).reshape(4, 4),
        scores=torch.tensor([0.5, 0.49, 0.9, 0.8]),
        labels=torch.tensor([0, 0, 1, 2]),
    )
    assert select(found, score_thr=0.5, labels=[0, 2]).scores.tolist() == pytest.approx([0.5, 0.8])
    assert len(select(found, score_thr=0.0, labels=[])) == 0

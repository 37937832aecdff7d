"""``configs/mmdet``: detectors of mmdet with our neck, our phases, and else as mmdet has them."""

import copy
from pathlib import Path

import cv2
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import nn

from derain_plugin import load_config
from derain_plugin.cli import infer as infer_cli
from derain_plugin.cli import test as test_cli

CONFIGS = Path(__file__).parents[2] / "configs/mmdet"
VANILLA = {
    "faster_rcnn_r50_fpn_featderain_ms": "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "rtmdet_s_featderain_ms": "rtmdet/rtmdet_s_8xb32-300e_coco.py",
    "yolox_s_featderain_ms": "yolox/yolox_s_8xb8-300e_coco.py",
    "dino_r50_featderain_ms": "dino/dino-4scale_r50_8xb2-12e_coco.py",
}
# Boxes of any score, and fewer queries than an image of 96 px has positions.
EVERY_BOX = {
    "faster_rcnn_r50_fpn_featderain_ms": {"model.test_cfg.rcnn.score_thr": 0.0},
    "rtmdet_s_featderain_ms": {"model.test_cfg.score_thr": 0.0},
    "yolox_s_featderain_ms": {"model.test_cfg.score_thr": 0.0},
    "dino_r50_featderain_ms": {"model.num_queries": 30, "model.test_cfg.max_per_img": 20},
}
# What makes training quick.
SMALLER = {
    "faster_rcnn_r50_fpn_featderain_ms": {
        "model.backbone.depth": 18,
        "model.roi_head.bbox_head.fc_out_channels": 32,
        "model.train_cfg.rcnn.sampler.num": 16,
    },
    "rtmdet_s_featderain_ms": {"model.backbone.widen_factor": 0.25},
    "yolox_s_featderain_ms": {"model.backbone.widen_factor": 0.25},
    "dino_r50_featderain_ms": {
        "model.backbone.depth": 18,
        "model.encoder.num_layers": 1,
        "model.decoder.num_layers": 1,
        "model.dn_cfg.group_cfg.num_dn_queries": 10,
    },
}
CHANNELS = {
    "faster_rcnn_r50_fpn_featderain_ms": [64, 128, 256, 512],
    "rtmdet_s_featderain_ms": [64, 128, 256],
    "yolox_s_featderain_ms": [64, 128, 256],
    "dino_r50_featderain_ms": [128, 256, 512],
}
SIZES = dict(
    Resize=dict(scale=(96, 96)),
    RandomResize=dict(scale=(96, 96)),
    RandomChoiceResize=dict(scales=[(128, 96)]),
    RandomCrop=dict(crop_size=(64, 96)),
    Pad=dict(size=(96, 96)),
)
TWO_EPOCHS = {
    "train_cfg.max_epochs": 2,
    "phases.derain.epochs": (1, 1),
    "phases.joint.epochs": (2, None),
    "train_dataloader.batch_size": 5,
    "optim_wrapper.accumulative_counts": 1,
    **{f"{name}_dataloader.num_workers": 0 for name in ("train", "val", "test")},
}


@pytest.fixture(scope="module", params=VANILLA)
def name(request) -> str:
    return request.param


def build(cfg: Config, seed: int = 0) -> nn.Module:
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    return model


def save_plain(name: str, path: Path, options: dict) -> nn.Module:
    """Write a checkpoint of mmdet's own detector, with COCO's 80 classes as published ones."""
    cfg = get_config(f"mmdet::{VANILLA[name]}")
    cfg.merge_from_dict({**EVERY_BOX[name], **options, "model.backbone.init_cfg": None})
    model = build(cfg)
    torch.save(dict(state_dict=model.state_dict()), path)
    return model


@pytest.fixture(scope="module")
def checkpoint(name, tmp_path_factory) -> str:
    """Of the plain detector, made smaller."""
    path = tmp_path_factory.mktemp(name) / "vanilla.pth"
    save_plain(name, path, {**SMALLER[name], "model.neck.in_channels": CHANNELS[name]})
    return str(path)


def shrink(node):
    """Let pipelines give small images."""
    if isinstance(node, dict):
        sizes = SIZES.get(node.get("type"), {})
        node.update({key: size for key, size in sizes.items() if key in node})
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in list(node):
        shrink(child)


def with_small_images(name: str, coco_root: Path, options: dict) -> Config:
    data = dict(data_root=str(coco_root), classes=("square", "disc"), synthetic_rain=3)
    cfg = load_config(CONFIGS / f"{name}.py", {**data, **EVERY_BOX[name], **options})
    for section in ("train_dataloader", "val_dataloader", "test_dataloader"):
        shrink(cfg[section])
    return cfg


def small_config(name: str, coco_root: Path, checkpoint: str) -> Config:
    """Of a small detector on small images that trains for two epochs."""
    channels = CHANNELS[name]
    necks = {f"model.neck.{part}.in_channels": channels for part in ("derain", "neck")}
    options = {**SMALLER[name], **necks, **TWO_EPOCHS, "load_from": checkpoint}
    return with_small_images(name, coco_root, options)


def test_only_the_neck_is_added_to_mmdets_model(name):
    ours, theirs = load_config(CONFIGS / f"{name}.py"), get_config(f"mmdet::{VANILLA[name]}")
    if "init_cfg" in theirs.model.backbone:
        theirs.model.backbone.init_cfg = None
    model = copy.deepcopy(ours.model)
    assert model.neck.type == "DerainNeck"
    model.neck = model.neck.neck
    if name == "yolox_s_featderain_ms":
        (ours_resize,) = model.data_preprocessor.pop("batch_augments")
        (resize,) = theirs.model.data_preprocessor.pop("batch_augments")
        low, high = resize.random_size_range
        assert ours_resize.sizes == [*range(low, high + 1, resize.size_divisor)]
    assert model.to_dict() == theirs.model.to_dict()
    assert ours.test_dataloader.dataset.datasets[0].pipeline == theirs.test_pipeline
    assert "Mosaic" not in str(ours.train_pipeline)
    assert ours.load_from.startswith("https://")
    assert VANILLA[name].split("/")[0] in ours.load_from


def images(cfg: Config, coco_root: Path) -> dict:
    load, *rest = cfg.test_dataloader.dataset.datasets[0].pipeline
    steps = [step for step in rest if step.type != "LoadAnnotations"]
    pipeline = Compose([load, *steps])
    paths = sorted((coco_root / "val2017").iterdir())[:2]
    return pseudo_collate([pipeline(dict(img_path=str(p), img_id=i)) for i, p in enumerate(paths)])


@torch.no_grad()
def predict(model: nn.Module, batch: dict) -> list[torch.Tensor]:
    found = [sample.pred_instances for sample in model.eval().test_step(copy.deepcopy(batch))]
    return [tensor for one in found for tensor in (one.bboxes, one.scores, one.labels)]


def test_detects_what_the_plain_detector_does(name, coco_root, tmp_path):
    plain = save_plain(name, tmp_path / "plain.pth", {})
    cfg = with_small_images(name, coco_root, dict(classes=None))
    batch = images(cfg, coco_root)
    expected = predict(plain, batch)
    assert all(tensor.isfinite().all() and len(tensor) >= 10 for tensor in expected)
    derained = build(cfg, seed=1)
    load_checkpoint(derained, str(tmp_path / "plain.pth"))
    for ours, theirs in zip(predict(derained, batch), expected, strict=True):
        assert torch.equal(ours, theirs)
    for parameter in derained.neck.derain.parameters():
        nn.init.normal_(parameter, std=0.1)
    moved = zip(predict(derained, batch), expected, strict=True)
    assert not all(torch.equal(ours, theirs) for ours, theirs in moved), "the neck is not in use"


class KeepWeights(Hook):
    """Remembers the weights at the start and after each epoch."""

    def __init__(self):
        self.seen = []

    def before_train_epoch(self, runner):
        if not self.seen:
            self.after_train_epoch(runner)

    def after_train_epoch(self, runner):
        self.seen.append({k: v.clone() for k, v in runner.model.state_dict().items()})


@pytest.mark.slow
def test_the_first_phase_trains_the_neck_and_the_second_all_that_mmdet_trains(
    name, checkpoint, coco_root, tmp_path
):
    cfg = small_config(name, coco_root, checkpoint)
    cfg.work_dir = str(tmp_path)
    cfg.train_cfg.val_interval = 9
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=-1)
    runner, hook = Runner.from_cfg(cfg), KeepWeights()
    runner.register_hook(hook, priority="LOWEST")
    runner.train()
    start, first, second = hook.seen
    for key, value in torch.load(checkpoint)["state_dict"].items():
        ours = start[key.replace("neck.", "neck.neck.", 1) if key.startswith("neck.") else key]
        assert ours.shape != value.shape or torch.equal(ours, value), key
    moved = {key for key in start if not torch.equal(start[key], first[key])}
    assert moved
    assert all(key.startswith("neck.derain.") for key in moved)
    moved = {key for key in start if not torch.equal(first[key], second[key])}
    fresh = build(cfg).train()
    parameters = dict(fresh.named_parameters())
    trainable = {key for key, item in parameters.items() if item.requires_grad}
    assert moved & parameters.keys() <= trainable
    # Not all: ten images have no box for some level, and untrained residuals begin at zero.
    assert len(moved & trainable) > 0.9 * len(trainable)
    statistics = {key for key in moved if key.endswith("running_mean")}
    assert bool(statistics) == (not cfg.model.backbone.get("norm_eval", False))
    scores = runner.message_hub.log_scalars
    assert {"val/clean/coco/bbox_mAP", "val/rainy/coco/bbox_mAP"} <= scores.keys()


@pytest.fixture(scope="module")
def rtmdet(coco_root, tmp_path_factory):
    """A config whose pipeline pads to a square, and a plain checkpoint."""
    folder, name = tmp_path_factory.mktemp("rtmdet"), "rtmdet_s_featderain_ms"
    sizes = {"model.neck.in_channels": CHANNELS[name], "model.bbox_head.num_classes": 2}
    save_plain(name, folder / "vanilla.pth", {**SMALLER[name], **sizes})
    cfg = small_config(name, coco_root, str(folder / "vanilla.pth"))
    cfg.dump(folder / "rtmdet.py")
    return [str(folder / "rtmdet.py"), str(folder / "vanilla.pth")]


def assert_shows(path: Path, photo: Path, *, left: int = 0, top: int = 0) -> None:
    """The image at ``path`` has the photo there, not a padded or squeezed one."""
    shown, expected = cv2.imread(str(path)), cv2.imread(str(photo))
    height, width = expected.shape[:2]
    part = shown[top : top + height, left : left + width]
    assert abs(part.astype(int) - expected).mean() < 15, path


def test_is_tested_and_shown_under_every_condition(rtmdet, coco_root, tmp_path):
    photo = coco_root / "val2017/000000000003.jpg"  # 208 x 160 px
    options = ["--show-dir", str(tmp_path / "seen"), "--show-masks", "--work-dir", str(tmp_path)]
    metrics = test_cli.main([*rtmdet, *options])
    assert {"clean/coco/bbox_mAP", "severity_5/coco/bbox_mAP", "robustness/bbox_mPC"} <= set(
        metrics
    )
    assert_shows(tmp_path / "seen/000000000003_clean.jpg", photo)
    masks = cv2.imread(str(tmp_path / "seen/000000000003_clean_masks.jpg"))
    assert masks.shape[0] == round(96 * 160 / 208) + 22


def test_is_shown_with_masks_by_infer(rtmdet, coco_root, tmp_path):
    photo = coco_root / "val2017/000000000003.jpg"
    infer_cli.main([*rtmdet, str(photo), "--out-dir", str(tmp_path), "--masks", "--device", "cpu"])
    panels = cv2.imread(str(tmp_path / photo.name))
    assert panels.shape[1] > 4 * 208  # the image and a mask per level


def test_channels_of_another_backbone_are_an_error_at_construction(name):
    cfg = load_config(CONFIGS / f"{name}.py", {"model.neck.derain.in_channels": [7, 9]})
    taken = ", ".join(map(str, cfg.model.neck.neck.in_channels))
    with pytest.raises(ValueError, match=rf"\(7, 9\).*\({taken}\).*out_indices"):
        MODELS.build(cfg.model)

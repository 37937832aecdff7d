"""Beside a trained and frozen toy detector, phase 1 of either neck wins back what rain took."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from forked import run_forked
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint

from derain_plugin import load_config
from derain_plugin.cli import train as train_cli
from derain_plugin.datasets.seeded_dataset import seeded_draws
from derain_plugin.rain.seeding import RENDERER_VERSION
from projects.study.toy.coco_folder import TOY_VERSION, make_toy_coco

TOY = Path(__file__).parents[2] / "projects/study/configs/toy"
IMAGES = dict(train=800, val=200, test=1)
QUICK = {
    "train_cfg.max_epochs": 4,
    "train_cfg.val_interval": 4,
    "param_scheduler.1.begin": 2,
    "param_scheduler.1.end": 4,
}
NECKS = dict(ms="toy_featderain_ms", lite="toy_featderain_lite")
PHASE_1 = """
_base_ = {base!r}
phase = dict(name="derain", epochs=(1, 3), lr={{"neck.derain": 5e-3}})
custom_hooks = [dict(type="PhasedTrainingHook", phases=[phase])]
train_cfg = dict(max_epochs=3, val_interval=3)
param_scheduler = [
    dict(type="CosineAnnealingLR", begin=0, end=3, eta_min_ratio=0.02, convert_to_iter_based=True)
]
del phase
"""


def train(config, work_dir, options):
    """Train in a process of its own: mmengine's loggers outlive a run."""
    settings = [f"{key}={value}" for key, value in options.items()]
    arguments = [str(config), "--work-dir", str(work_dir), "--cfg-options", *settings]
    run_forked(train_cli.main, arguments)


def final_scores(work_dir):
    (log,) = work_dir.glob("*/vis_data/scalars.json")
    record = json.loads(log.read_text().splitlines()[-1])
    return {side: record[f"{side}/coco/bbox_mAP"] for side in ("clean", "rainy")}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "coco"
    make_toy_coco(root, num_images=IMAGES)
    return root


@pytest.fixture(scope="module")
def detector(toy, request, tmp_path_factory):
    """Weights of the vanilla toy detector, and its scores; trained once per state of its config."""
    cfg = load_config(TOY / "toy_rtdetr_coco.py", QUICK).to_dict()
    state = repr([cfg, IMAGES, TOY_VERSION, RENDERER_VERSION, torch.__version__])
    name = hashlib.sha256(state.encode()).hexdigest()[:16]
    kept = request.config.cache.mkdir("toy_detector") / name
    if not kept.is_dir():
        work_dir = tmp_path_factory.mktemp("vanilla")
        train(TOY / "toy_rtdetr_coco.py", work_dir, {**QUICK, "data_root": toy})
        part = kept.with_suffix(".part")
        part.mkdir(exist_ok=True)
        shutil.copy(work_dir / "epoch_4.pth", part / "detector.pth")
        (part / "scores.json").write_text(json.dumps(final_scores(work_dir)))
        os.replace(part, kept)
    return kept / "detector.pth", json.loads((kept / "scores.json").read_text())


@torch.inference_mode()
def rainy_loss(config, weights, toy):
    """Mean loss on the rainy side of the first training images, without denoising noise."""
    cfg = load_config(TOY / f"{config}.py", dict(data_root=str(toy)))
    model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, str(weights), map_location="cpu")
    images = DATASETS.build(cfg.train_dataloader.dataset.rainy)
    losses = []
    for first in range(0, 128, 16):
        with seeded_draws(0, first):  # the same flips for every model
            samples = [images[index] for index in range(first, first + 16)]
        batch = model.data_preprocessor(pseudo_collate(samples))
        loss, _ = model.parse_losses(model.loss(batch["inputs"], batch["data_samples"]))
        losses.append(loss.item())
    return sum(losses) / len(losses)


@pytest.mark.slow
def test_rain_hurts_the_detector(detector):
    _, scores = detector
    assert scores["clean"] > 0.25
    assert scores["clean"] - scores["rainy"] > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("neck", NECKS)
def test_phase_1_helps_in_rain_and_costs_nothing_without(neck, detector, toy, tmp_path):
    weights, before = detector
    config = tmp_path / "phase_1.py"
    config.write_text(PHASE_1.format(base=str(TOY / f"{NECKS[neck]}.py")))
    train(config, tmp_path, {"data_root": toy, "load_from": weights})
    after = final_scores(tmp_path)
    untouched = rainy_loss(NECKS[neck], weights, toy)
    derained = rainy_loss(NECKS[neck], tmp_path / "epoch_3.pth", toy)
    assert derained < 0.995 * untouched
    assert after["rainy"] > before["rainy"] + 0.01
    assert round(abs(after["clean"] - before["clean"]), 3) <= 0.01

"""A run that is killed again and again ends bitwise as the run that was not."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from forked import start_forked
from mmdet.evaluation import CocoMetric
from mmdet.registry import HOOKS, METRICS
from mmengine.hooks import Hook

from derain_plugin.cli import train as train_cli
from derain_plugin.engine.safety.checkpoint import load_from_local

# Multi-scale, denoising and all augmentations are the shipped config's.
CHILD = """
_base_ = {base!r}
train_cfg = dict(max_epochs=5)
custom_hooks = [
    dict(
        type="PhasedTrainingHook",
        phases=[
            dict(name="derain", epochs=(1, 2), lr={{"neck.derain": 5e-3}}),
            dict(name="joint", epochs=(3, 5), lr={{"neck.derain": 1e-3, "*": 1e-4}}),
        ],
    ),
    dict(type="PhasedEarlyStoppingHook", monitor="rainy/coco/score", rule="less", patience=1),
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=1e-4,
        gamma=2000,
        update_buffers=True,
        priority=49,
    ),
    dict(type="Killer"),
]
param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=8)]
default_hooks = dict(checkpoint=dict(save_best="rainy/coco/score", rule="greater"))
"""


@METRICS.register_module()
class CocoMetricAndScore(CocoMetric):
    """Adds a score that any change of the weights changes; so few steps bring no AP."""

    def compute_metrics(self, results):
        score = float(sum(prediction["scores"].mean() for _, prediction in results))
        return {**super().compute_metrics(results), "score": score}


@HOOKS.register_module()
class Killer(Hook):
    """Kills the process at a point of an epoch (counted from 1)."""

    priority = "LOWEST"
    target: tuple[str, int] | None = None

    def reach(self, point, epoch):
        if self.target == (point, epoch):
            os.kill(os.getpid(), signal.SIGKILL)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 1:
            self.reach("in training", runner.epoch + 1)

    def after_train_epoch(self, runner):
        self.reach("after checkpoint", runner.epoch + 1)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 1:
            self.reach("in validation", runner.epoch)

    def after_val_epoch(self, runner, metrics=None):
        self.reach("after validation", runner.epoch)


class Training:
    """Starts trainings of one config, each in a process of its own."""

    def __init__(self, config, settings):
        self.config, self.settings = config, settings

    def start(self, work_dir, *options, target=None, resume=False):
        """Train until the end or until killed at ``target``."""
        arguments = [self.config, "--work-dir", str(work_dir), *["--resume"] * resume]
        arguments += ["--cfg-options", *self.settings, *options]
        process = start_forked(_train, arguments, target)
        process.join(timeout=300)
        assert process.exitcode == (-signal.SIGKILL if target else 0)


def _train(arguments, target):
    Killer.target = target
    train_cli.main(arguments)


@pytest.fixture(scope="module")
def training(config, settings, weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "exact_resume.py"
    path.write_text(CHILD.format(base=config))
    sides = "clean", "rainy"
    options = [
        f"load_from={weights}",
        *[f"val_evaluator.metrics.{i}.type=CocoMetricAndScore" for i in range(2)],
        # Small images, to be quick.
        *[f"val_dataloader.dataset.datasets.{i}.pipeline.1.scale=96,96" for i in range(2)],
        *[f"train_dataloader.dataset.{side}.pipeline.6.scale=96,96" for side in sides],
    ]
    return Training(str(path), [*settings, *options])


@pytest.fixture(scope="module")
def whole(training, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("whole")
    training.start(work_dir)
    return work_dir


def log_of(work_dir):
    """Every record of scalars.json but its times, by the step that it is of."""
    records = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for record in map(json.loads, path.read_text().splitlines()):
            key = "train" if "loss" in record else "val", record["step"]
            record = {name: value for name, value in record.items() if "time" not in name}
            # What was done again after a kill gave the same.
            assert records.setdefault(key, record) == record
    return records


def flat(tree, prefix=""):
    """Name -> leaf of nested dicts and lists."""
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {k: v for key, item in items for k, v in flat(item, f"{prefix}/{key}").items()}
    return {prefix: tree}


def content(path):
    """What a later epoch or a user may depend on in a checkpoint, as flat names and leaves."""
    checkpoint = load_from_local(str(path))
    meta, hub = checkpoint.pop("meta"), checkpoint.pop("message_hub")
    checkpoint["meta"] = {key: meta[key] for key in ("epoch", "iter", "seed")}
    info = hub["runtime_info"]
    checkpoint["best"] = info["best_score"], Path(info["best_ckpt"]).name, info["keep_ckpt_ids"]
    scalars = {name: item for name, item in hub["log_scalars"].items() if "time" not in name}
    checkpoint["smoothed"] = {
        name: item.mean(50) if name.startswith("train") else item.current()
        for name, item in scalars.items()
    }
    return flat(checkpoint)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        again = other[name]
        same = torch.equal(value, again) if torch.is_tensor(value) else value == again
        assert same, f"{name}: {value} != {again}"


def files(work_dir):
    return sorted(path.name for path in work_dir.glob("*.pth"))


EPOCHS = range(1, 5)  # then early stopping ends it
WORKERS = ["train_dataloader.num_workers=2", "train_dataloader.persistent_workers={}"]
TEMPORARY, PERSISTENT = ([item.format(lives_on) for item in WORKERS] for lives_on in (False, True))
KILLS = {
    "after every checkpoint": ([], [("after checkpoint", epoch) for epoch in EPOCHS]),
    "in every validation": (TEMPORARY, [("in validation", epoch) for epoch in EPOCHS]),
    "after every validation": ([], [("after validation", epoch) for epoch in EPOCHS]),
    "in every epoch": (PERSISTENT, [("in training", epoch) for epoch in EPOCHS]),
    "again in the repeated validation": (
        [],
        [("after checkpoint", 3), ("in validation", 3), ("after validation", 3)],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("loading", "kills"), KILLS.values(), ids=KILLS)
def test_killed_and_resumed_it_ends_as_the_whole_run(training, whole, tmp_path, loading, kills):
    """The whole run loads its data in the main process."""
    for number, target in enumerate([*kills, None]):
        training.start(tmp_path, *loading, target=target, resume=number > 0)
    assert files(tmp_path) == files(whole)
    assert log_of(tmp_path) == log_of(whole)
    for name in files(whole):
        assert_same(content(whole / name), content(tmp_path / name))


def test_another_seed_gives_other_weights(training, whole, tmp_path):
    training.start(tmp_path, "randomness.seed=1", target=("after checkpoint", 2))
    one, other = (load_from_local(path / "epoch_2.pth")["state_dict"] for path in (whole, tmp_path))
    weight = "neck.derain.blocks.0.reduce.weight"
    assert not torch.equal(one[weight], other[weight])

"""A whole study with a handful of images: its own commands, in processes of their own."""

import json

import pytest
from forked_steps import fork_steps
from mmengine.config import Config

from projects.study.arm_configs import arm_config
from projects.study.arms import find_arms
from projects.study.coco_folder import make_study_coco
from projects.study.layout import Layout
from projects.study.plan import plan_steps
from projects.study.report import write_report
from projects.study.steps import run_steps

QUICK = {
    "train_cfg.max_epochs": 1,
    "train_cfg.val_interval": 1,
    "train_dataloader.batch_size": 4,
    "train_dataloader.num_workers": 0,
    "val_dataloader.num_workers": 0,
    "test_dataloader.num_workers": 0,
    "default_hooks.logger.interval": 1,
    "default_hooks.checkpoint.max_keep_ckpts": -1,
}
ARMS = find_arms(["vanilla", "control"])


def quick_config(family, name, options=None):
    phases = {"phases.finetune.epochs": (1, None)} if name == "finetune_mix" else {}
    return arm_config(family, name, {**QUICK, **phases, **(options or {})})


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    make_study_coco(root / "data", num_images=dict(train=6, val=3, test=4))
    return Layout("study", root / "work", root / "results", "test", root / "data", quick_config)


@pytest.fixture(scope="module")
def finished(layout):
    steps = plan_steps(layout, ARMS, [3])
    with pytest.MonkeyPatch.context() as monkeypatch:
        fork_steps(monkeypatch)
        run_steps(steps, layout.folder, jobs=1)
    return steps


@pytest.mark.slow
def test_every_arm_leaves_its_record(layout, finished):
    for arm, seed in zip(ARMS, (0, 3), strict=True):
        record = json.loads(layout.record_file(arm, seed).read_text())
        assert (record["arm"], record["seed"], record["split"]) == (arm.name, seed, "test")
        assert record["whole"]["num_images"] == 4
        assert len(record["whole"]["conditions"]) == 7
        assert record["seconds"] > 0
        assert len(record["learning_curve"]) == 1
        assert "epoch_1.pth" in record["checkpoint"]


@pytest.mark.slow
def test_the_control_starts_from_vanilla_with_its_own_seed(layout, finished):
    log = next(layout.weights.glob("finetune_mix_seed3_*/*/*.log")).read_text()
    vanilla = next(layout.weights.glob("rtdetr_coco_seed0_*")) / "epoch_1.pth"
    assert f"Load checkpoint from {vanilla}" in log
    cfg = Config.fromfile(next(layout.weights.glob("finetune_mix_seed3_*/*.py")))
    (resize,) = cfg.model.data_preprocessor.batch_augments
    found = cfg.randomness.seed, cfg.train_dataloader.dataset.seed, resize.seed
    assert found == (3, 3, 3)


@pytest.mark.slow
def test_a_finished_study_needs_its_results_alone(layout, finished, tmp_path):
    fresh = Layout("study", tmp_path / "work", layout.results, "test", tmp_path, layout.configs)
    identity = layout.data / "study_coco.json"
    (tmp_path / identity.name).write_text(identity.read_text())
    assert plan_steps(fresh, ARMS, [3]) == []
    assert "control" in write_report(fresh.results, tmp_path / "docs")

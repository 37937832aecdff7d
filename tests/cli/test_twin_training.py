"""Training with clean twins: resumed it ends the same, and only its losses set it apart."""

import json
import shutil

import pytest
import torch
from vanilla_checkpoint import write_vanilla_checkpoint

from derain_plugin.cli import train as train_cli
from derain_plugin.engine.safety.checkpoint import load_from_local

CHILD = """
_base_ = {base!r}
load, *rest = [s for s in _base_.train_pipeline if s["type"] != "Uint8PhotoMetricDistortion"]
train_dataloader = dict(
    dataset=dict(
        clean=dict(pipeline=[load, dict(type="RainTwin", severity=0, seed=0), *rest]),
        rainy=dict(pipeline=[load, dict(type="RainTwin", seed=0), *rest]),
    )
)
model = dict(
    type="TwinSupervisedRTDETR",
    data_preprocessor=dict(type="RainTwinDataPreprocessor"),
    teacher={teacher!r},
    consistency_weight=1.0,
    mask_weight=1.0,
)
del load, rest
"""
PLAIN = """
_base_ = {base!r}
pipeline = [s for s in _base_.train_pipeline if s["type"] != "Uint8PhotoMetricDistortion"]
train_dataloader = dict(dataset=dict(clean=dict(pipeline=pipeline), rainy=dict(pipeline=pipeline)))
del pipeline
"""
UNSUPERVISED = ["model.consistency_weight=0", "model.mask_weight=0"]
UNVALIDATED = ["train_cfg.val_interval=9", "default_hooks.checkpoint.save_best=None"]


@pytest.fixture(scope="module")
def vanilla(tmp_path_factory):
    return write_vanilla_checkpoint(tmp_path_factory.mktemp("vanilla") / "vanilla.pth")


@pytest.fixture(scope="module")
def twin_config(config, vanilla, tmp_path_factory):
    path = tmp_path_factory.mktemp("twin") / "twin.py"
    path.write_text(CHILD.format(base=config, teacher=vanilla))
    return str(path)


@pytest.fixture(scope="module")
def train(settings, vanilla):
    def run(config, work_dir, *options, resume=False):
        options = [*settings, f"load_from={vanilla}", *options]
        train_cli.main(
            [config, "--work-dir", str(work_dir), *["--resume"] * resume, "--cfg-options", *options]
        )
        return work_dir

    return run


@pytest.fixture(scope="module")
def trained(train, twin_config, tmp_path_factory):
    return train(twin_config, tmp_path_factory.mktemp("work"))


def assert_same_weights(one, other):
    first, second = (load_from_local(path)["state_dict"] for path in (one, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(second[name], value), name


def test_losses_of_the_twins_are_logged(trained):
    lines = "".join(path.read_text() for path in trained.glob("*/vis_data/scalars.json"))
    entries = [json.loads(line) for line in lines.splitlines()]
    trained_with = [entry for entry in entries if "loss" in entry]
    assert len(trained_with) == 6
    assert all(0 < entry["loss_consistency"] < 10 for entry in trained_with)
    assert all(0 < entry["loss_mask"] < 1 for entry in trained_with)


def test_resumed_it_ends_as_the_whole_run(trained, train, twin_config, tmp_path):
    work_dir = tmp_path / "resumed"
    shutil.copytree(trained, work_dir)
    (work_dir / "epoch_2.pth").unlink()
    (work_dir / "last_checkpoint").write_text(str(work_dir / "epoch_1.pth"))
    train(twin_config, work_dir, resume=True)
    assert_same_weights(work_dir / "epoch_2.pth", trained / "epoch_2.pth")


def test_without_losses_it_is_the_plain_detectors_training(train, twin_config, config, tmp_path):
    """The same images, rain, sizes and draws: what differs between arms are the losses."""
    plain = tmp_path / "plain.py"
    plain.write_text(PLAIN.format(base=config))
    one = train(str(plain), tmp_path / "plain", *UNVALIDATED)
    other = train(twin_config, tmp_path / "twins", *UNVALIDATED, *UNSUPERVISED)
    assert_same_weights(one / "epoch_2.pth", other / "epoch_2.pth")

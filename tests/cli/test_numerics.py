"""A long toy training in mixed precision, and what must be the same twice."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from forked import run_forked
from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from derain_plugin.cli import train as train_cli
from derain_plugin.engine.safety.checkpoint import load_from_local

LONG = """
_base_ = {base!r}
model = dict(data_preprocessor=dict(batch_augments=[dict(type="BatchRandomResize", sizes=[64])]))
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_epochs=100, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100, save_best=None), logger=dict(interval=50))
custom_hooks = [dict(type="RecordEachIteration")]
"""


@HOOKS.register_module()
class RecordEachIteration(Hook):
    """Write the loss, the norm of the clipped gradient and the memory (MiB) of each iteration."""

    def __init__(self):
        self.rows = []

    def before_train(self, runner):
        runner.optim_wrapper.optimizer.register_step_pre_hook(self.measure)

    def measure(self, optimizer, args, kwargs):
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        self.clipped = float(torch.nn.utils.get_total_norm([g for g in grads if g is not None]))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        self.rows.append(dict(loss=float(outputs["loss"]), clipped=self.clipped, memory=memory))

    def after_train(self, runner):
        Path(runner.work_dir, "rows.json").write_text(json.dumps(self.rows))


def train(config, work_dir, settings, *flags):
    train_cli.main([str(config), "--work-dir", str(work_dir), *flags, "--cfg-options", *settings])


@pytest.fixture(scope="module")
def rows(config, settings, weights, tmp_path_factory):
    """500 iterations in bf16, by the command."""
    folder = tmp_path_factory.mktemp("long")
    path = folder / "long.py"
    path.write_text(LONG.format(base=config))
    options = [*settings, f"load_from={weights}", "image_size=64"]
    run_forked(train, path, folder / "work", options, "--amp")
    return json.loads((folder / "work/rows.json").read_text())


@pytest.mark.slow
def test_500_iterations_in_bf16_are_finite_and_clipped(rows):
    assert len(rows) == 500
    assert all(math.isfinite(row["loss"]) for row in rows)
    assert 0 < max(row["clipped"] for row in rows) < 0.1001


@pytest.mark.slow
def test_memory_does_not_grow(rows):
    resident = [row["memory"] for row in rows]
    assert resident[-1] - resident[199] < 4, resident[::50]


def train_twice(config, folder, options):
    for name in ("one", "other"):
        train(config, f"{folder}/{name}", options)


@pytest.mark.slow
def test_two_deterministic_runs_end_bitwise_the_same(config, settings, weights, tmp_path):
    options = [*settings, f"load_from={weights}", "randomness.deterministic=True"]
    run_forked(train_twice, config, tmp_path, options)
    one, other = (
        load_from_local(str(tmp_path / f"{name}/epoch_2.pth")) for name in ("one", "other")
    )
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name

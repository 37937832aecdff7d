"""The main job under DDP: two gloo processes on the CPU."""

import os
from pathlib import Path

import pytest
import torch
from forked import run_ranks
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from torch import distributed

from derain_plugin.cli import train as train_cli

WRAPPER = """
_base_ = {base!r}
# As mmengine wraps by default, but for the devices.
model_wrapper_cfg = dict(
    type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False
)
train_dataloader = dict(batch_size=2)
custom_hooks = [*_base_.custom_hooks, dict(type="SaveEachRank")]
"""


@HOOKS.register_module()
class SaveEachRank(Hook):
    """Save the model of every rank, and which pictures it saw rainy, after each epoch."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for sample in data_batch["data_samples"]:
            self.seen.append((runner.epoch, sample.img_path, sample.rainy))

    def after_train_epoch(self, runner):
        state = dict(model=runner.model.module.state_dict(), seen=self.seen)
        torch.save(state, Path(runner.work_dir, f"epoch_{runner.epoch + 1}_rank_{runner.rank}.pt"))


def train_one_rank(rank, folder, config, options):
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE="2")
    # mmengine's own init wants a GPU; it leaves a group alone that is there.
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    arguments = [config, "--work-dir", f"{folder}/work", "--launcher", "pytorch"]
    train_cli.main([*arguments, "--cfg-options", *options])
    distributed.destroy_process_group()


@pytest.mark.slow
def test_ranks_agree_and_share_the_pictures(config, settings, weights, tmp_path):
    path = tmp_path / "two_ranks.py"
    path.write_text(WRAPPER.format(base=config))
    options = [*settings, f"load_from={weights}", "train_cfg.val_interval=5"]
    run_ranks(2, train_one_rank, str(tmp_path), str(path), options)
    for epoch in (1, 2):
        one, other = (
            torch.load(tmp_path / f"work/epoch_{epoch}_rank_{rank}.pt") for rank in (0, 1)
        )
        for name, value in one["model"].items():
            if "running" not in name:  # BatchNorm that trains keeps local statistics
                assert torch.equal(value, other["model"][name]), (epoch, name)
        seen = [(path, rainy) for e, path, rainy in one["seen"] + other["seen"] if e == epoch - 1]
        assert len({path for path, _ in seen}) == 10
        assert sum(rainy for _, rainy in seen) >= 7

"""The main job under DDP, with gloo on the CPU: 2 and 4 processes, and two nodes on loopback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from coco_folder import write_coco_folder
from forked import run_forked, run_ranks
from mmdet.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from tiny_rtdetr import TINY, transformers_twin
from torch import distributed, nn

from derain_plugin.cli import train as train_cli
from derain_plugin.models import RTDETRHead

IMAGES, BATCH = 16, 8  # of all ranks together: two iterations an epoch
NUM_RAINY = 11  # 70 %
RANKED = """
_base_ = {base!r}
# As mmengine wraps by default, but for the devices.
model_wrapper_cfg = dict(
    type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False
)
model = dict(data_preprocessor=dict(batch_augments=[dict(type="BatchRandomResize", sizes=[64])]))
custom_hooks = [*_base_.custom_hooks, dict(type="SaveEachRank")]
"""
# What depends on the local batch by design is off, and rounding is not blown up by Adam.
ALIKE = """
custom_hooks.insert(0, dict(type="FreezeNorms", priority="VERY_HIGH"))
model["bbox_head"] = dict(num_denoising=0)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4)
)
custom_hooks[1] = dict(
    type="PhasedTrainingHook",
    phases=[
        dict(name="derain", epochs=(1, 1), lr={"neck.derain": 2.0}),
        dict(name="joint", epochs=(2, 2), lr={"neck.derain": 2.0, "*": 0.5}),
    ],
)
"""
ON_A_NODE = """
import sys
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
import conftest
from test_train_on_several_ranks import train_cli
train_cli.main(sys.argv[1:])
torch.distributed.destroy_process_group()
"""


@HOOKS.register_module()
class SaveEachRank(Hook):
    """Save the model of every rank, and which images it saw rainy, after each epoch."""

    priority = "LOW"

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for sample in data_batch["data_samples"]:
            self.seen.append((runner.epoch, Path(sample.img_path).name, sample.rainy))

    def after_train_epoch(self, runner):
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = dict(model=model.state_dict(), seen=self.seen)
        torch.save(state, Path(runner.work_dir, f"epoch_{runner.epoch + 1}_rank_{runner.rank}.pt"))


@HOOKS.register_module()
class FreezeNorms(Hook):
    """Let no BatchNorm train, so that PhasedTrainingHook keeps them in eval mode."""

    def before_run(self, runner):
        for module in runner.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.requires_grad_(False)


@pytest.fixture(scope="module")
def job(config, weights, tmp_path_factory):
    """Write the config, and return what follows it on the command line."""
    folder = tmp_path_factory.mktemp("ranks")
    root = write_coco_folder(folder / "coco", num_images=IMAGES)
    vanilla = transformers_twin(num_classes=80, **dict(TINY, num_denoising=0))
    vanilla.save_pretrained(folder / "no_denoising")

    def write(world_size, *, alike=False):
        path = folder / f"ranks_{alike}.py"
        path.write_text(RANKED.format(base=config) + (ALIKE if alike else ""))
        settings = [f"data_root={root}", "classes=square,disc", "synthetic_rain=3"]
        start = f"hf://{folder}/no_denoising" if alike else weights
        settings += [f"load_from={start}", "train_cfg.val_interval=5"]
        settings += [f"train_dataloader.batch_size={BATCH // world_size}"]
        return [str(path), "--cfg-options", *settings]

    return write


def train_one_rank(rank, world_size, folder, arguments, boxless_rank=None):
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE=str(world_size))
    # mmengine's own init wants a GPU; it leaves a group alone that is there.
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size
    )
    if boxless_rank is not None:
        take_boxes_away(boxless_rank)
    train_cli.main([*arguments, "--work-dir", f"{folder}/work", "--launcher", "pytorch"])
    distributed.destroy_process_group()


def take_boxes_away(rank):
    """From every second batch of a rank."""
    loss, calls = RTDETRHead.loss, []

    def boxless(self, feats, samples):
        calls.append(1)
        if get_rank() == rank and len(calls) % 2:
            for sample in samples:
                sample.gt_instances = sample.gt_instances[:0]
        return loss(self, feats, samples)

    RTDETRHead.loss = boxless


def saved(folder, epoch, world_size):
    paths = [folder / f"work/epoch_{epoch}_rank_{rank}.pt" for rank in range(world_size)]
    return [torch.load(path) for path in paths]


def assert_equal_across_ranks(folder, world_size):
    for epoch in (1, 2):
        first, *others = saved(folder, epoch, world_size)
        for other in others:
            for name, value in first["model"].items():
                assert value.isfinite().all(), (epoch, name)
                assert torch.equal(value, other["model"][name]), (epoch, name)


def assert_images_are_shared(folder, world_size):
    ranks = saved(folder, 2, world_size)
    for epoch in (0, 1):
        seen = [(name, rainy) for rank in ranks for e, name, rainy in rank["seen"] if e == epoch]
        assert len(seen) == len({name for name, _ in seen}) == IMAGES
        assert sum(rainy for _, rainy in seen) == NUM_RAINY


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_agree_and_share_the_images(job, world_size, tmp_path):
    run_ranks(world_size, train_one_rank, world_size, str(tmp_path), job(world_size))
    assert_equal_across_ranks(tmp_path, world_size)
    assert_images_are_shared(tmp_path, world_size)


@pytest.mark.slow
def test_a_rank_without_boxes_neither_hangs_nor_drifts(job, tmp_path):
    run_ranks(2, train_one_rank, 2, str(tmp_path), job(2), 1)
    assert_equal_across_ranks(tmp_path, 2)


@pytest.fixture(scope="module")
def alone(job, tmp_path_factory):
    """The weights that one process ends with."""
    folder = tmp_path_factory.mktemp("alone")
    arguments = [*job(1, alike=True), "--work-dir", str(folder / "work")]
    run_forked(train_cli.main, arguments)
    return saved(folder, 2, 1)[0]["model"]


def assert_as_alone(folder, world_size, alone):
    for rank in saved(folder, 2, world_size):
        for name, value in rank["model"].items():
            torch.testing.assert_close(value, alone[name], atol=1e-4, rtol=0, msg=name)
    before = saved(folder, 1, world_size)[0]["model"]
    distance = max(float((value - alone[name]).abs().max()) for name, value in before.items())
    assert distance > 1e-2, "what hardly moves is alike, too"


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 4])
def test_several_end_as_one_process(job, alone, world_size, tmp_path):
    run_ranks(world_size, train_one_rank, world_size, str(tmp_path), job(world_size, alike=True))
    assert_as_alone(tmp_path, world_size, alone)


@pytest.mark.slow
def test_two_nodes_end_as_one_process(job, alone, tmp_path):
    here = Path(__file__).parent
    script = tmp_path / "node.py"
    script.write_text(ON_A_NODE.format(paths=[str(here), str(here.parent), str(here.parents[1])]))
    arguments = [*job(2, alike=True), "--work-dir", str(tmp_path / "work")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"]
    launch += ["--master_addr=127.0.0.1", f"--master_port={port}"]
    environment = dict(os.environ, GLOO_SOCKET_IFNAME="lo", OMP_NUM_THREADS="1")
    nodes = [
        subprocess.Popen(
            [
                sys.executable,
                *launch,
                f"--node_rank={rank}",
                script,
                *arguments,
                "--launcher",
                "pytorch",
            ],
            env=environment,
        )
        for rank in range(2)
    ]
    assert [node.wait(timeout=300) for node in nodes] == [0, 0]
    assert_as_alone(tmp_path, 2, alone)

import os

import pytest
import torch
from forked import run_ranks
from mmengine.model import MMDistributedDataParallel
from phased_runner import Spy, build_runner, state_of
from torch import distributed

WORLD = 2
SWITCH = 4  # iterations: two epochs of two per rank
# With 3, gradients are left over at the switch, and most iterations do not synchronise.
ACCUMULATIONS = (1, 3)


def train_one_rank(rank, folder):
    os.environ["LOCAL_RANK"] = str(rank)
    # mmengine's own init wants a GPU; it leaves a group alone that is there.
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORLD
    )
    states = {count: train(rank, f"{folder}/{count}", count) for count in ACCUMULATIONS}
    distributed.barrier()
    end_of_phase_1 = f"{folder}/1/epoch_2.pth"
    states["resumed"] = train(rank, f"{folder}/resumed", 1, load_from=end_of_phase_1, resume=True)
    torch.save(states, f"{folder}/rank_{rank}.pth")
    distributed.destroy_process_group()


def train(rank, work_dir, accumulative_counts, **kwargs):
    """Return the state before each iteration and at the end."""
    states = []
    runner = build_runner(
        work_dir,
        seed=rank,
        hooks=(
            Spy(lambda runner: states.append(state_of(runner.model.module))),
            dict(type="EMAHook", momentum=0.1),
        ),
        optim=dict(accumulative_counts=accumulative_counts),
        launcher="pytorch",
        # As mmengine wraps by default, but for the devices.
        cfg=dict(model_wrapper_cfg=dict(device_ids=None, broadcast_buffers=False)),
        **kwargs,
    )
    runner.train()
    assert isinstance(runner.model, MMDistributedDataParallel)
    return [*states, state_of(runner.model.module)]


@pytest.mark.slow
def test_all_parameters_are_equal_across_ranks_after_both_phases(tmp_path):
    run_ranks(WORLD, train_one_rank, str(tmp_path))
    ranks = [torch.load(tmp_path / f"rank_{rank}.pth") for rank in range(WORLD)]
    for accumulative_counts in ACCUMULATIONS:
        one, other = (states[accumulative_counts] for states in ranks)
        for iteration, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            for name in mine:
                if "running" not in name:
                    where = (accumulative_counts, iteration, name)
                    assert torch.equal(mine[name], theirs[name]), where
        # The ranks saw different data: statistics of BatchNorm that trains are their own.
        statistics = "neck.derain.1.running_mean"
        assert not torch.equal(one[SWITCH][statistics], other[SWITCH][statistics])
        # What phase 1 froze stood still on both ranks and then trained.
        for states in (one, other):
            assert torch.equal(states[0]["head.weight"], states[SWITCH]["head.weight"])
            assert not torch.equal(states[SWITCH]["head.weight"], states[-1]["head.weight"])
    for states in ranks:
        whole, resumed = states[1][-1], states["resumed"][-1]
        for name in whole:
            assert "running" in name or torch.equal(whole[name], resumed[name]), name

"""What of mmengine's FlexibleRunner works with phases, and what is refused."""

import os
from types import SimpleNamespace

import pytest
import torch
from forked import run_ranks
from mmdet.registry import HOOKS
from mmengine.optim import BaseOptimWrapper
from mmengine.runner import FlexibleRunner
from phased_runner import (
    DERAIN_THEN_JOINT,
    PHASED,
    Spy,
    ToyData,
    ToyDetector,
    build_runner,
    state_of,
)
from torch import distributed

PHASES = dict(type="PhasedTrainingHook", phases=DERAIN_THEN_JOINT)


def flexible_runner(work_dir, **kwargs) -> FlexibleRunner:
    torch.manual_seed(0)
    loader = dict(
        dataset=ToyData(),
        batch_size=4,
        sampler=dict(type="DefaultSampler", shuffle=False),
        collate_fn=dict(type="default_collate"),
    )
    options = dict(
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=4),
        optim_wrapper=PHASED,
        custom_hooks=[PHASES],
        randomness=dict(seed=0),
        default_scope="mmdet",
        log_level="WARNING",
        experiment_name=work_dir.name,
    )
    return FlexibleRunner(model=ToyDetector(), work_dir=str(work_dir), **(options | kwargs))


@pytest.mark.parametrize("strategy", [None, dict(type="SingleDeviceStrategy")])
def test_on_one_device_it_ends_as_runner_does(tmp_path, strategy):
    runner = build_runner(tmp_path / "runner")
    runner.train()
    flexible = flexible_runner(tmp_path / "flexible", strategy=strategy)
    flexible.train()
    expected, found = state_of(runner.model), state_of(flexible.model)
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_it_resumes_by_name(tmp_path):
    phases = [dict(name="all", epochs=(1, None), lr={"*": 1e-3})]
    head_first = [dict(name="head", epochs=(1, None), lr={"head": 1e-3})]
    hooks = [[dict(type="PhasedTrainingHook", phases=item)] for item in (phases, head_first)]
    loop = dict(by_epoch=True, max_epochs=2)
    flexible_runner(tmp_path / "first", custom_hooks=hooks[0], train_cfg=loop).train()
    saved = torch.load(tmp_path / "first/epoch_2.pth", weights_only=False)["optimizer"]
    again = flexible_runner(
        tmp_path / "again",
        custom_hooks=hooks[1],
        load_from=str(tmp_path / "first/epoch_2.pth"),
        resume=True,
    )
    again.register_hook(Spy(lambda runner: taken.append(momenta(runner))), "LOWEST")
    taken = []
    again.train()
    for group in saved["param_groups"]:
        (name,), (number,) = group["param_names"], group["params"]
        momentum = saved["state"].get(number, {}).get("exp_avg")
        assert (name in taken[0]) == (momentum is not None)
        assert momentum is None or torch.equal(taken[0][name], momentum), name


def momenta(runner):
    names = {item: name for name, item in runner.model.named_parameters()}
    state = runner.optim_wrapper.optimizer.state
    return {names[item]: value["exp_avg"].clone() for item, value in state.items()}


def train_with_ddp_strategy(rank, folder):
    os.environ["LOCAL_RANK"] = str(rank)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    wrapper = dict(type="MMDistributedDataParallel", device_ids=None)
    runner = flexible_runner(folder, strategy=dict(type="DDPStrategy", model_wrapper=wrapper))
    with pytest.raises(TypeError, match=r"anew in .* of a FlexibleRunner; use MMDistributed"):
        runner.train()
    distributed.destroy_process_group()


@pytest.mark.slow
def test_its_ddp_is_refused(tmp_path):
    run_ranks(2, train_with_ddp_strategy, tmp_path)


def test_optimizers_like_deepspeeds_are_refused():
    """They are no ``OptimWrapper``; without a word, everything would train at one rate."""

    class EngineOptimWrapper(BaseOptimWrapper):
        update_params = backward = step = zero_grad = None

    optimizer = torch.optim.AdamW(ToyDetector().parameters())
    hook = HOOKS.build(PHASES)
    runner = SimpleNamespace(
        optim_wrapper=EngineOptimWrapper(optimizer), param_schedulers=None, hooks=[hook], cfg={}
    )
    with pytest.raises(TypeError, match="not with DeepSpeed"):
        hook.before_run(runner)

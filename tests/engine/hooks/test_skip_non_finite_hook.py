"""Bad batches change nothing, and three in a row end the run with its state saved."""

import os
from itertools import pairwise

import pytest
import torch
from forked import run_ranks
from mmengine.runner import Runner
from phased_runner import Spy, ToyData, build_runner, changed, state_of
from torch import distributed

from derain_plugin.engine.hooks import SkipNonFiniteHook
from derain_plugin.engine.safety.checkpoint import load_from_local

LR = 1e-2
ONE_PHASE = (dict(name="all", epochs=(1, 1), lr={"*": LR}),)
BATCHES = 8


def train(work_dir, bad, *, hook=None, poison=None, **kwargs) -> list[dict]:
    """Train one epoch, batches ``bad`` poisoned; states before each batch and at the end."""
    states: list[dict] = []
    runner = toy_runner(work_dir, bad, states, hook=hook, poison=poison, **kwargs)
    runner.train()
    return [*states, everything(runner)]


def toy_runner(work_dir, bad, states, *, hook=None, poison=None, **kwargs) -> Runner:
    look = Spy(lambda runner: states.append(everything(runner)))
    runner = build_runner(
        work_dir,
        phases=ONE_PHASE,
        epochs=1,
        batches=BATCHES,
        hooks=(hook or dict(type="SkipNonFiniteHook"), look, dict(type="EMAHook", momentum=0.5)),
        **kwargs,
    )
    data: ToyData = runner._train_dataloader["dataset"]
    for number in bad:
        (poison or not_a_number)(data, slice(4 * number, 4 * number + 4))
    return runner


def not_a_number(data, where):
    data.inputs[where][1, 2] = float("nan")


def infinite_target(data, where):
    data.target[where][0] = float("inf")


def one_of_rank_0_then_one_of_rank_1(data, where):
    """The ranks take turns at the images, eight of which are an iteration of both."""
    data.inputs[where.start + where.start // 16] = float("nan")


def everything(runner) -> dict:
    model = getattr(runner.model, "module", runner.model)
    moments = {
        f"{index}.{name}": value.clone()
        for index, item in enumerate(runner.optim_wrapper.optimizer.state.values())
        for name, value in item.items()
    }
    return {**state_of(model), **moments}


def finite(state) -> bool:
    return all(bool(value.isfinite().all()) for value in state.values())


@pytest.mark.parametrize("poison", [not_a_number, infinite_target])
@pytest.mark.parametrize("clip_grad", [None, dict(max_norm=0.1)])
def test_a_bad_batch_changes_nothing(tmp_path, caplog, poison, clip_grad):
    states = train(tmp_path, [2, 3, 5], poison=poison, optim=dict(clip_grad=clip_grad))
    for number in range(BATCHES):
        differs = changed(states[number], states[number + 1])
        assert bool(differs) == (number not in (2, 3, 5)), (number, differs)
    assert finite(states[-1])
    ema = load_from_local(str(tmp_path / "epoch_1.pth"))
    for kind in ("state_dict", "ema_state_dict"):
        assert finite(ema[kind])


def test_without_the_hook_everything_is_lost(tmp_path):
    assert not finite(train(tmp_path, [2], hook=Spy(lambda runner: None))[-1])


def test_the_warning_names_iteration_losses_and_count(tmp_path, monkeypatch):
    warnings = []
    runner = toy_runner(tmp_path, [2, 3], [])
    monkeypatch.setattr(runner.logger, "log", lambda level, text: warnings.append(text))
    runner.train()
    first, second = (text for text in warnings if "SkipNonFiniteHook" in text)
    assert "iteration 3 (epoch 1) is skipped, not finite: loss=nan of this batch" in first
    assert "1 in a row, the run ends at 3" in first
    assert "iteration 4" in second
    assert "2 in a row" in second


def test_three_in_a_row_end_the_run_with_its_state_saved(tmp_path):
    states: list[dict] = []
    runner = toy_runner(tmp_path, [3, 4, 5], states)
    with pytest.raises(FloatingPointError, match=r"3 batches in a row.*iteration 6.*--resume"):
        runner.train()
    # EMAHook saves its average as the model, and the model as ema_state_dict.
    saved = load_from_local(str(tmp_path / "non_finite_iter_6.pth"))["ema_state_dict"]
    for name, value in state_of(runner.model).items():
        assert torch.equal(saved[f"module.{name}"], states[3][name]), name
        assert torch.equal(value, states[3][name]), name
    assert not (tmp_path / "last_checkpoint").exists()


def test_gradients_that_are_not_finite_though_the_loss_is(tmp_path):
    def square_root_of_nothing(loss):
        loss.register_hook(lambda grad: grad * float("nan"))

    runner = toy_runner(tmp_path, [], states := [])
    forward, calls = runner.model.forward, []

    def second_is_bad(*args, mode, **kwargs):
        losses = forward(*args, mode=mode, **kwargs)
        calls.append(mode)
        if len(calls) == 2:
            square_root_of_nothing(losses["loss"])
        return losses

    runner.model.forward = second_is_bad
    runner.train()
    differ = [bool(changed(one, other)) for one, other in pairwise(states)]
    assert differ == [True, False, True, True, True, True, True]


def test_a_bad_batch_spoils_only_those_accumulated_with_it(tmp_path):
    states = train(tmp_path, [4], optim=dict(accumulative_counts=2))
    weights = [state["head.weight"] for state in states]
    moved = [not torch.equal(one, other) for one, other in pairwise(weights)]
    assert moved == [False, True, False, True, False, True, False, True]
    assert finite(states[-1])
    # The sixth batch alone made the third step: the fifth's gradients were dropped.
    statistics = "neck.derain.1.running_mean"
    assert torch.equal(states[4][statistics], states[5][statistics])


def test_fp16_overflow_is_left_to_the_loss_scaler(tmp_path, amp_on_cpu):
    scale = dict(init_scale=2.0**127, growth_interval=1000)
    optim = dict(type="AmpOptimWrapper", loss_scale=scale)
    runner = toy_runner(tmp_path, [6], states := [], optim=optim)
    runner._train_dataloader["dataset"].target *= 15
    runner.train()
    weights = [state["head.weight"] for state in [*states, everything(runner)]]
    moved = [not torch.equal(one, other) for one, other in pairwise(weights)]
    # Overflows more often than max_in_row allows, then steps, and one batch that is bad.
    assert not any(moved[:4])
    assert moved[4]
    assert not moved[6]
    assert finite(everything(runner))


@pytest.mark.parametrize("max_in_row", [0, -1, 1.5, "3"])
def test_bad_limit(max_in_row):
    with pytest.raises(ValueError, match="max_in_row must be an integer >= 1"):
        SkipNonFiniteHook(max_in_row)


def train_one_rank(rank, folder):
    os.environ["LOCAL_RANK"] = str(rank)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    wrapper = dict(model_wrapper_cfg=dict(device_ids=None, broadcast_buffers=False))
    options = dict(poison=one_of_rank_0_then_one_of_rank_1, launcher="pytorch", cfg=wrapper)
    states = train(f"{folder}/work", [2, 4], **options)
    torch.save(states, f"{folder}/rank_{rank}.pth")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_ranks_skip_together(tmp_path):
    run_ranks(2, train_one_rank, str(tmp_path))
    ranks = [torch.load(tmp_path / f"rank_{rank}.pth") for rank in range(2)]
    for one, other in zip(*ranks, strict=True):
        for name, value in one.items():
            assert "running" in name or torch.equal(value, other[name]), name
    for states in ranks:
        assert finite(states[-1])
        differ = [bool(changed(a, b)) for a, b in pairwise(states)]
        assert differ == [True, False, False, True]

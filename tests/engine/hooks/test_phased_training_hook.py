from argparse import ArgumentParser

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config, DictAction
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPERS
from phased_runner import (
    ADAMW,
    DERAIN_THEN_JOINT,
    Spy,
    ToyDetector,
    build_runner,
    changed,
    state_of,
)
from torch import nn
from torch.optim import AdamW

from derain_plugin.engine.hooks import PhasedTrainingHook

ALWAYS_FROZEN = ("backbone.frozen_stage", "backbone.late_frozen")
GROUPINGS = [
    pytest.param({}, id="one-group"),
    pytest.param(dict(paramwise_cfg=dict(norm_decay_mult=0.0)), id="group-per-parameter"),
]


def one_epoch_each():
    return [dict(phase, epochs=(i, i)) for i, phase in enumerate(DERAIN_THEN_JOINT, start=1)]


class PlainTrainer(OptimWrapper):
    """Another wrapper: an update that does more than mmengine's."""

    def step(self, **kwargs):
        super().step(**kwargs)
        self.steps = getattr(self, "steps", 0) + 1


OPTIM_WRAPPERS.register_module(module=PlainTrainer)


@pytest.mark.parametrize("optim", GROUPINGS)
def test_phase_1_leaves_frozen_parameters_and_buffers_bitwise(tmp_path, optim):
    seen = []
    runner = build_runner(
        tmp_path,
        hooks=(Spy(lambda runner: seen.append(state_of(runner.model))),),
        optim=optim,
    )
    runner.train()
    before, after = seen[0], seen[8]
    assert changed(before, after) == {name for name in before if name.startswith("neck.derain.")}


def test_what_was_frozen_at_construction_never_moves(tmp_path):
    runner = build_runner(tmp_path)
    before = state_of(runner.model)
    runner.train()
    moved = changed(before, state_of(runner.model))
    assert not {name for name in moved if name.startswith(ALWAYS_FROZEN)}
    assert len(moved) == sum(not name.startswith(ALWAYS_FROZEN) for name in before)


def test_frozen_means_no_grad_and_no_requirement_of_one(tmp_path):
    seen = []

    def look(runner):
        params = dict(runner.model.named_parameters())
        seen.append({name for name, item in params.items() if item.requires_grad})
        assert all(item.grad is None for item in params.values() if not item.requires_grad)

    build_runner(tmp_path, phases=one_epoch_each(), epochs=2, hooks=(Spy(look),)).train()
    names = [name for name, _ in ToyDetector().named_parameters()]
    assert seen[:4] == [{name for name in names if name.startswith("neck.derain.")}] * 4
    assert seen[4:] == [{name for name in names if not name.startswith(ALWAYS_FROZEN)}] * 4


def test_only_frozen_norms_are_in_eval_mode_while_training(tmp_path):
    seen = []

    def look(runner):
        seen.append({name for name, item in runner.model.named_modules() if not item.training})

    build_runner(tmp_path, phases=one_epoch_each(), epochs=2, hooks=(Spy(look),)).train()
    by_phase_1 = {"backbone.stage.1", "backbone.stage.2", "neck.neck.1"}
    assert seen[:4] == [by_phase_1 | {"backbone.frozen_stage.1"}] * 4
    assert seen[4:] == [{"backbone.frozen_stage.1"}] * 4


@pytest.mark.parametrize("kind", [nn.SyncBatchNorm, nn.InstanceNorm2d])
def test_every_kind_of_running_statistics_freezes(tmp_path, kind):
    model = ToyDetector()
    model.neck.neck[1] = kind(4, affine=True, track_running_stats=True)
    before = state_of(model)
    phases = [dict(name="derain", epochs=(1, 1), lr={"neck.derain": 1e-3})]
    build_runner(tmp_path, model=model, phases=phases, epochs=1).train()
    assert not {name for name in changed(before, state_of(model)) if name.startswith("neck.neck")}


def test_optimizer_state_is_fresh_in_every_phase(tmp_path):
    runner = build_runner(tmp_path)
    runner.train()
    state = runner.optim_wrapper.optimizer.state
    trainable = [item for item in runner.model.parameters() if item.requires_grad]
    assert {int(entry["step"]) for entry in state.values()} == {8}
    assert set(state) == set(trainable)


def test_leftover_gradients_are_dropped_and_accumulation_starts_anew(tmp_path):
    steps, grads = [], []

    def look(runner):
        derain = runner.model.neck.derain[0].weight
        grads.append(derain.grad is not None)
        steps.append(int(runner.optim_wrapper.optimizer.state.get(derain, dict(step=0))["step"]))

    runner = build_runner(
        tmp_path,
        phases=one_epoch_each(),
        epochs=2,
        batches=5,
        hooks=(Spy(look),),
        optim=dict(accumulative_counts=3),
    )
    runner.train()
    # 5 iterations: an update after the third, two gradients left over.
    assert steps[:5] == [0, 0, 0, 1, 1]
    assert grads[:5] == [False, True, True, False, True]
    # Phase 2 counts from 0: an update after its third and its last iteration.
    assert steps[5:] == [0, 0, 0, 1, 1]
    assert grads[5:] == [False, True, True, False, True]
    assert int(runner.optim_wrapper.optimizer.state[runner.model.head.weight]["step"]) == 2


def test_group_settings_survive_the_split(tmp_path):
    keys = {"backbone": dict(lr_mult=0.1, decay_mult=0.5)}
    runner = build_runner(tmp_path, optim=dict(paramwise_cfg=dict(custom_keys=keys)))
    runner.train()
    names = {parameter: name for name, parameter in runner.model.named_parameters()}
    for group in runner.optim_wrapper.optimizer.param_groups:
        in_backbone = {names[item].startswith("backbone") for item in group["params"]}
        assert in_backbone == {group["weight_decay"] == ADAMW["weight_decay"] * 0.5}


def test_ema_of_frozen_weights_stays_the_weights(tmp_path):
    ema = dict(type="EMAHook", ema_type="ExpMomentumEMA", gamma=5, update_buffers=True)
    runner = build_runner(tmp_path, hooks=(ema,))
    before = state_of(runner.model)
    runner.train()
    saved = torch.load(tmp_path / "epoch_2.pth", weights_only=False)["state_dict"]
    assert any(name.startswith("neck.derain.") for name in changed(before, saved))
    for name in changed(before, saved):
        if not name.startswith("neck.derain."):  # mmengine 0.10.7 averages with rounding errors
            torch.testing.assert_close(saved[name], before[name], rtol=1e-6, atol=1e-7, msg=name)


def test_other_optim_wrapper(tmp_path):
    runner = build_runner(tmp_path, optim=dict(type="PlainTrainer"))
    before = state_of(runner.model)
    runner.train()
    assert runner.optim_wrapper.steps == 16
    assert len(changed(before, state_of(runner.model))) > 10


def test_amp_optim_wrapper(tmp_path, amp_on_cpu):
    runner = build_runner(
        tmp_path,
        optim=dict(
            type="AmpOptimWrapper",
            dtype="bfloat16",
            accumulative_counts=3,
            clip_grad=dict(max_norm=0.1),
        ),
    )
    seen = []
    runner.register_hook(Spy(lambda runner: seen.append(state_of(runner.model))))
    runner.train()
    assert isinstance(runner.optim_wrapper, AmpOptimWrapper)
    assert all(name.startswith("neck.derain.") for name in changed(seen[0], seen[8]))
    assert changed(seen[0], seen[8])
    assert "head.weight" in changed(seen[8], state_of(runner.model))


def test_test_and_val_after_training_leave_the_phases_alone(tmp_path):
    derain, joint = DERAIN_THEN_JOINT
    phases = [joint | dict(epochs=(1, 1)), derain | dict(epochs=(2, 2))]
    runner = build_runner(tmp_path, phases=phases, epochs=2)
    runner.train()
    groups = [group["lr"] for group in runner.optim_wrapper.optimizer.param_groups]
    runner.val()
    assert [group["lr"] for group in runner.optim_wrapper.optimizer.param_groups] == groups


def test_val_alone_needs_no_training_parts(tmp_path):
    nothing = dict(train_dataloader=None, train_cfg=None, optim_wrapper=None)
    runner = build_runner(tmp_path, scores=[0.5], **nothing)
    assert runner.val() == {"acc": 0.5}


def phases_with(**lr):
    return [DERAIN_THEN_JOINT[0], dict(name="joint", epochs=(3, 4), lr=lr)]


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        (dict(epochs=3), ValueError, "end with epoch 4, but train_cfg.max_epochs is 3"),
        (dict(epochs=5), ValueError, "end with epoch 4, but train_cfg.max_epochs is 5"),
        (dict(phases=phases_with(haed=1.0)), ValueError, "'haed' matches no.*'head'"),
        (dict(phases=phases_with(**{"backbone.frozen_stage": 1.0})), ValueError, "trains nothing"),
        (dict(phases=phases_with(**{"he*d": 1.0, "hea*": 1.0})), ValueError, "equally long"),
        (
            dict(param_scheduler=dict(type="OneCycleLR", eta_max=1.0, total_steps=4)),
            TypeError,
            "OneCycleLR",
        ),
        (
            dict(param_scheduler=dict(type="ReduceOnPlateauLR", monitor="acc")),
            TypeError,
            "ReduceOnPlateauLR",
        ),
    ],
)
def test_errors_at_start(tmp_path, kwargs, error, message):
    seen = []
    runner = build_runner(tmp_path, hooks=(Spy(seen.append),), **kwargs)
    with pytest.raises(error, match=message):
        runner.train()
    assert not seen


def test_parameters_that_the_optimizer_lacks_are_named(tmp_path):
    model = ToyDetector()
    optimizer = AdamW(model.neck.derain.parameters())
    runner = build_runner(tmp_path, model=model)
    runner.optim_wrapper = OptimWrapper(optimizer)
    with pytest.raises(ValueError, match=r"without \['backbone\.stage\.0\.weight'.*10 in all"):
        runner.train()


def test_several_optimizers_are_refused(tmp_path):
    model = ToyDetector()
    wrapper = OptimWrapper(AdamW(model.parameters()))
    runner = build_runner(tmp_path, model=model)
    runner.optim_wrapper = OptimWrapperDict(only=wrapper)
    with pytest.raises(TypeError, match="single optimizer"):
        runner.train()


def test_other_model_wrappers_are_refused(tmp_path):
    runner = build_runner(tmp_path)
    runner.model = nn.DataParallel(runner.model)
    with pytest.raises(TypeError, match="anew in DataParallel of a Runner; use MMDistr"):
        runner.train()


def test_each_phase_is_announced(tmp_path, monkeypatch):
    runner = build_runner(tmp_path)
    said = []
    monkeypatch.setattr(runner.logger, "info", said.append)
    runner.train()
    phases = [text for text in said if text.startswith("Phase ")]
    assert len(phases) == 2
    assert "1/2 'derain', epochs 1-2: 4 of 20 parameters train (28 values), 16 are" in phases[0]
    assert phases[0].endswith("learning rates: neck.derain at 0.005")
    assert "2/2 'joint', epochs 3-4: 14 of 20 parameters train" in phases[1]
    assert phases[1].endswith("learning rates: neck.derain at 0.001, * at 0.0001")


def test_built_from_a_config():
    config = Config(dict(hook=dict(type="PhasedTrainingHook", phases=list(DERAIN_THEN_JOINT))))
    hook = HOOKS.build(config.hook)
    assert isinstance(hook, PhasedTrainingHook)
    assert [hook.phase_at(epoch).name for epoch in (1, 2, 3, 4)] == ["derain"] * 2 + ["joint"] * 2


BY_NAME = dict(
    derain=dict(epochs=(1, 2), lr={"neck.derain": 5e-3}),
    joint=dict(epochs=(3, None), lr={"neck.derain": 1e-3, "*": 1e-4}),
)


def runner_of_a_config(work_dir, *options, epochs=4):
    """The phases stand in the config, which ``--cfg-options`` changes."""
    runner = build_runner(work_dir, phases=None, epochs=epochs, batches=1)
    runner.cfg = Config(dict(phases=BY_NAME, custom_hooks=[dict(type="PhasedTrainingHook")]))
    parser = ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    arguments = ["--cfg-options", *options] if options else []
    runner.cfg.merge_from_dict(parser.parse_args(arguments).cfg_options)
    return runner


def phases_run(runner):
    runner.train()
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, PhasedTrainingHook))
    return [(phase.name, tuple(phase.epochs), phase.lr) for phase in hook.phases]


def test_one_number_of_one_phase_is_one_override(tmp_path):
    (_, _, rates), (_, _, joint) = phases_run(
        runner_of_a_config(tmp_path, "phases.joint.lr.neck.derain=2e-3")
    )
    assert (rates, joint) == ({"neck.derain": 5e-3}, {"neck.derain": 2e-3, "*": 1e-4})


@pytest.mark.parametrize("epochs", [3, 5])
def test_another_length_needs_no_other_phases(tmp_path, epochs):
    runner = runner_of_a_config(tmp_path, epochs=epochs)
    phases_run(runner)
    assert runner.epoch == epochs


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_length_without_the_last_phase_is_refused_with_what_repairs_it(tmp_path, epochs):
    with pytest.raises(
        ValueError, match=f"end with epoch 3 or later, but train_cfg.max_epochs is {epochs}"
    ) as error:
        runner_of_a_config(tmp_path, epochs=epochs).train()
    *options, last = str(error.value).partition("--cfg-options ")[2].split()
    assert last == "phases.joint.epochs=2,None"
    if epochs == 1:  # fewer than phases
        assert options.pop(0) == "train_cfg.max_epochs=2"
    repaired = runner_of_a_config(tmp_path / "again", *options, last, epochs=2)
    assert [span for _, span, _ in phases_run(repaired)] == [(1, 1), (2, None)]


def test_the_repair_of_a_list_in_custom_hooks(tmp_path):
    runner = build_runner(tmp_path, epochs=3)
    runner.cfg = Config(
        dict(custom_hooks=[dict(type="EMAHook"), dict(type="X", phases=list(DERAIN_THEN_JOINT))])
    )
    repair = r"--cfg-options custom_hooks\.1\.phases\.1\.epochs=3,None$"
    with pytest.raises(ValueError, match=f"end with epoch 4, .* {repair}"):
        runner.train()


def test_without_phases_everything_trains(tmp_path):
    runner = build_runner(tmp_path, phases=None)
    before = state_of(runner.model)
    runner.train()
    assert {"head.weight", "backbone.stage.0.weight"} <= changed(before, state_of(runner.model))


def test_phases_of_a_hook_come_before_those_of_the_config(tmp_path):
    runner = build_runner(tmp_path, hooks=(dict(type="PhasedTrainingHook"),))
    runner.cfg.phases = dict(late=dict(epochs=(1, None), lr={"head": 1.0}))
    runner.train()
    own, other = (hook for hook in runner.hooks if isinstance(hook, PhasedTrainingHook))
    assert [phase.name for phase in own.phases] == ["derain", "joint"]
    assert not other.phases


def test_two_hooks_with_phases_are_refused(tmp_path):
    second = dict(type="PhasedTrainingHook", phases=list(DERAIN_THEN_JOINT))
    with pytest.raises(ValueError, match="2 PhasedTrainingHooks with phases: leave one"):
        build_runner(tmp_path, hooks=(second,)).train()

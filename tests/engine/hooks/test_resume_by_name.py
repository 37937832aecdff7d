"""A resumed run goes on with the state and the schedule that belong to it, or says why not."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from phased_runner import ADAMW, Spy, ToyDetector, build_runner, changed, rate_of, state_of
from torch import nn

from derain_plugin.engine.hooks import ResumeByNameHook

ALL = [dict(name="all", epochs=(1, None), lr={"*": 1e-3})]
HEAD_FIRST = [dict(name="head", epochs=(1, None), lr={"head": 1e-3, "neck.neck": 1e-3})]
NO_NORM_DECAY = dict(paramwise_cfg=dict(norm_decay_mult=0.0))
PLAIN = dict(type="OptimWrapper", optimizer=ADAMW, constructor="DefaultOptimWrapperConstructor")
BY_NAME = (dict(type="ResumeByNameHook"),)


def train(work_dir, *, epochs=4, resume_from=None, **kwargs):
    """Train without validation; return the runner, what a resume brought, and the rates."""
    brought, rates = [], []

    def look(runner):
        if not brought:
            brought.append(by_name(runner))
        rates.append(rate_of(runner, "head.weight"))

    hooks = (*kwargs.pop("hooks", ()), Spy(look))
    runner = build_runner(
        work_dir,
        epochs=epochs,
        hooks=hooks,
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        load_from=resume_from and str(resume_from),
        resume=resume_from is not None,
        **kwargs,
    )
    runner.train()
    return runner, brought[0], rates


def by_name(runner):
    """Momentum and weight decay of each parameter of an optimizer."""
    names = {item: name for name, item in runner.model.named_parameters()}
    optimizer = runner.optim_wrapper.optimizer
    return {
        names[item]: (
            optimizer.state[item].get("exp_avg", torch.zeros(0)).clone(),
            g["weight_decay"],
        )
        for g in optimizer.param_groups
        for item in g["params"]
    }


def assert_same(found, expected):
    """The optimizers may leave frozen parameters out, which have no momentum."""
    for name in found.keys() | expected.keys():
        momentum, decay = expected.get(name, (torch.zeros(0), 0.1))
        assert torch.equal(found.get(name, (torch.zeros(0),))[0], momentum), name
        assert name not in found or found[name][1] == decay, name


def unnamed(path, *, cfg=None):
    """Make a checkpoint look as earlier versions wrote it."""
    checkpoint = torch.load(path, weights_only=False)
    for group in checkpoint["optimizer"]["param_groups"]:
        del group["param_names"]
    checkpoint["meta"]["cfg"] = cfg
    torch.save(checkpoint, path)
    return path


GROUPINGS = {
    "another first phase": (dict(phases=ALL, optim=NO_NORM_DECAY), dict(phases=HEAD_FIRST)),
    "one group, then one for each": (
        dict(phases=None, optim=PLAIN, hooks=BY_NAME),
        dict(phases=ALL, optim={}),
    ),
    "mmengine's group for each, then ours": (
        dict(phases=None, optim=PLAIN | NO_NORM_DECAY, hooks=BY_NAME),
        dict(phases=ALL, optim=NO_NORM_DECAY),
    ),
    "one for each, then one group": (
        dict(phases=None, optim={}),
        dict(phases=None, optim=PLAIN),
    ),
}


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_state_goes_to_the_parameter_of_its_name(tmp_path, grouping):
    before, now = GROUPINGS[grouping]
    first, _, _ = train(tmp_path / "first", epochs=2, **before)
    saved = by_name(first)
    assert {name for name, (value, _) in saved.items() if value.numel()} == {
        name for name, item in first.model.named_parameters() if item.requires_grad
    }
    _, brought, _ = train(
        tmp_path / "then", resume_from=tmp_path / "first/epoch_2.pth", **(before | now)
    )
    assert_same(brought, saved)


def test_moved_groups_keep_their_rates(tmp_path):
    """The weight decay of norms follows the config, also where groups are made anew."""
    train(tmp_path / "first", epochs=2, phases=None, optim=PLAIN, hooks=BY_NAME)
    runner, brought, rates = train(
        tmp_path / "then",
        resume_from=tmp_path / "first/epoch_2.pth",
        optim=NO_NORM_DECAY,
        phases=ALL,
    )
    assert brought["neck.neck.1.weight"][1] == 0.0
    assert brought["head.weight"][1] == 0.1
    assert rates == [1e-3] * 8
    assert runner.optim_wrapper.base_param_settings is None


COSINE = dict(type="CosineAnnealingLR", eta_min=1e-4)
SCHEDULES = {
    "a longer cosine": lambda epochs: dict(COSINE, T_max=epochs, end=epochs),
    "a longer cosine by default": lambda epochs: dict(COSINE),
    "by iteration": lambda epochs: dict(COSINE, T_max=4 * epochs, by_epoch=False),
    "converted": lambda epochs: dict(COSINE, T_max=epochs, convert_to_iter_based=True),
    "warm-up, then milestones": lambda epochs: [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=3),
        dict(type="MultiStepLR", milestones=[epochs // 2, epochs - 1], gamma=0.5),
    ],
    "linear down": lambda epochs: dict(type="LinearLR", start_factor=1.0, end_factor=0.1),
    "polynomial": lambda epochs: dict(type="PolyLR", power=0.9, by_epoch=False),
    "another kind": lambda epochs: (
        dict(type="StepLR", step_size=1, gamma=0.5)
        if epochs == 4
        else dict(type="ExponentialLR", gamma=0.5)
    ),
    "one more": lambda epochs: [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=3),
        *([dict(COSINE)] if epochs == 8 else []),
    ],
    "none any more": lambda epochs: dict(COSINE) if epochs == 4 else None,
    "momentum": lambda epochs: [
        dict(COSINE),
        dict(type="CosineAnnealingMomentum", eta_min=0.5, T_max=epochs),
    ],
    "one cycle": lambda epochs: dict(
        type="OneCycleLR", eta_max=1e-2, total_steps=4 * epochs, by_epoch=False
    ),
}
SETUPS = {
    "plain": dict(phases=None, optim=PLAIN),
    "mmengine's group for each": dict(phases=None, optim=PLAIN | NO_NORM_DECAY),
    "phases": dict(
        phases=[
            dict(name="derain", epochs=(1, 2), lr={"neck.derain": 5e-3, "head": 3e-3}),
            dict(name="joint", epochs=(3, None), lr={"neck.derain": 1e-3, "*": 1e-4}),
        ]
    ),
}


CASES = [("plain", name) for name in SCHEDULES]
CASES += [("phases", name) for name in SCHEDULES if name != "one cycle"]  # refused with phases
CASES += [("mmengine's group for each", "warm-up, then milestones")]


@pytest.mark.parametrize(("setup", "schedule"), CASES)
def test_a_longer_schedule_counts_as_from_the_first_epoch(tmp_path, setup, schedule):
    kwargs, of = SETUPS[setup], SCHEDULES[schedule]
    train(tmp_path / "short", epochs=4, param_scheduler=of(4), **kwargs)
    whole, _, expected = train(tmp_path / "whole", epochs=8, param_scheduler=of(8), **kwargs)
    again, _, rates = train(
        tmp_path / "again",
        epochs=8,
        resume_from=tmp_path / "short/epoch_4.pth",
        param_scheduler=of(8),
        **kwargs,
    )
    assert rates == pytest.approx(expected[16:], rel=1e-12)
    groups = zip(whole.optim_wrapper.param_groups, again.optim_wrapper.param_groups, strict=True)
    for one, other in groups:
        assert one["lr"] == pytest.approx(other["lr"], rel=1e-12)
        assert one["betas"] == pytest.approx(other["betas"], rel=1e-12)
    for one, other in zip(whole.param_schedulers or [], again.param_schedulers or [], strict=True):
        assert (one.last_step, one.end) == (other.last_step, other.end)


def test_it_says_what_counts(tmp_path):
    kwargs = dict(phases=None, optim=PLAIN, log_level="INFO")
    cosine = dict(type="CosineAnnealingLR", T_max=4, end=4, eta_min=1e-4)
    train(tmp_path / "short", param_scheduler=cosine, **kwargs)
    _, _, rates = train(
        tmp_path / "again",
        epochs=8,
        resume_from=tmp_path / "short/epoch_4.pth",
        param_scheduler=cosine | dict(T_max=8, end=8),
        **kwargs,
    )
    assert rates[0] == pytest.approx((1e-2 + 1e-4) / 2)
    log = next((tmp_path / "again").glob("*/*.log")).read_text()
    assert "CosineAnnealingLR T_max=8 (checkpoint: 4); CosineAnnealingLR end=8 (checkpoint" in log
    assert "The learning rate goes on from 0.00505." in log
    assert "give the config the checkpoint's values" in log


def test_a_complete_run_says_so(tmp_path):
    kwargs = dict(phases=None, optim=PLAIN, log_level="INFO")
    train(tmp_path / "whole", epochs=2, **kwargs)
    resume_from = tmp_path / "whole/epoch_2.pth"
    with pytest.raises(IndexError):  # there is no iteration to look at
        train(tmp_path / "again", epochs=2, resume_from=resume_from, **kwargs)
    log = next((tmp_path / "again").glob("*/*.log")).read_text()
    assert "Nothing is left to train: the checkpoint has done 2 epochs" in log


def test_other_batch_sizes_keep_a_converted_schedule_in_epochs(tmp_path):
    cosine = dict(type="CosineAnnealingLR", T_max=4, convert_to_iter_based=True, eta_min=1e-4)
    kwargs = dict(phases=None, optim=PLAIN, param_scheduler=cosine)
    train(tmp_path / "first", epochs=4, batches=4, **kwargs)
    _, _, expected = train(tmp_path / "whole", epochs=4, batches=2, **kwargs)
    resume_from = tmp_path / "first/epoch_2.pth"
    _, _, rates = train(tmp_path / "again", epochs=4, batches=2, resume_from=resume_from, **kwargs)
    assert rates == pytest.approx(expected[4:], rel=1e-12)


@pytest.mark.parametrize("setup", [name for name in SETUPS if name != "phases"])
def test_without_phases_the_same_config_resumes_bitwise(tmp_path, setup):
    kwargs = SETUPS[setup] | dict(param_scheduler=SCHEDULES["warm-up, then milestones"](4))
    whole, _, expected = train(tmp_path / "whole", **kwargs)
    runner, _, rates = train(
        tmp_path / "again", resume_from=tmp_path / "whole/epoch_2.pth", **kwargs
    )
    assert rates == expected[8:]
    assert not changed(state_of(whole.model), state_of(runner.model))
    assert_same(by_name(runner), by_name(whole))


@pytest.mark.parametrize("left_out", ["save_optimizer", "save_param_scheduler"])
def test_what_a_checkpoint_lacks_does_not_begin_anew(tmp_path, left_out):
    kwargs = SETUPS["plain"] | dict(param_scheduler=SCHEDULES["warm-up, then milestones"](4))
    _, _, expected = train(tmp_path / "whole", **kwargs)
    hook = dict(type="CheckpointHook", interval=1, **{left_out: False})
    train(tmp_path / "short", default_hooks=dict(checkpoint=hook), **kwargs)
    resume_from = tmp_path / "short/epoch_3.pth"
    _, _, rates = train(tmp_path / "again", resume_from=resume_from, **kwargs)
    assert rates == pytest.approx(expected[12:], rel=1e-12)


@pytest.mark.parametrize("scheduler", [None, dict(type="MultiStepLR", milestones=[1])])
def test_other_settings_of_the_config_count(tmp_path, scheduler):
    kwargs = dict(phases=None, param_scheduler=scheduler)
    train(tmp_path / "first", optim=PLAIN, **kwargs)
    other = PLAIN | dict(optimizer=ADAMW | dict(lr=2e-2, weight_decay=0.3))
    _, brought, rates = train(
        tmp_path / "again",
        epochs=6,
        resume_from=tmp_path / "first/epoch_4.pth",
        optim=other,
        **kwargs,
    )
    assert rates == pytest.approx([2e-2 if scheduler is None else 2e-3] * 8)
    assert brought["head.weight"][1] == 0.3


class OtherHead(nn.Linear):
    """A linear layer with one more parameter."""

    def __init__(self) -> None:
        super().__init__(4, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return super().forward(x) * self.scale


def with_head(head):
    model = ToyDetector()
    model.head = head
    return model


REFUSED = {
    "another optimizer": (
        lambda: dict(optim=PLAIN | dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))),
        "of another kind than SGD: momentum",
    ),
    "another parameter": (
        lambda: dict(model=with_head(OtherHead())),
        r"1 parameters are only in this training \(head\.scale\)",
    ),
    "a parameter less": (
        lambda: dict(model=with_head(nn.Linear(4, 1, bias=False))),
        r"1 parameters are only in the checkpoint \(head\.bias\)",
    ),
    "another shape": (
        lambda: dict(model=with_head(nn.Linear(4, 2))),
        r"head\.weight has the shape \(2, 4\), in the checkpoint \(1, 4\)",
    ),
    "past metrics": (
        lambda: dict(param_scheduler=dict(type="ReduceOnPlateauLR", monitor="acc")),
        "ReduceOnPlateauLR follows past metrics",
    ),
}


@pytest.fixture(scope="module")
def plain_checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    train(folder, epochs=1, phases=None, optim=PLAIN)
    return folder / "epoch_1.pth"


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(tmp_path, plain_checkpoint, case):
    kwargs, message = REFUSED[case]
    options = dict(phases=None, optim=PLAIN) | kwargs()
    with pytest.raises(ValueError, match=rf"epoch_1\.pth: .*{message}.*load_from=\.\.\., without"):
        train(tmp_path, resume_from=plain_checkpoint, **options)


OLD_PHASES = "phases = dict(head=dict(epochs=(1, None), lr=dict(head=1e-3)))\n"
HOOK = "default_hooks = dict(phases=dict(type='PhasedTrainingHook'))\n"
HEAD = [dict(name="head", epochs=(1, None), lr={"head": 1e-3})]


@pytest.mark.parametrize("now", [HEAD, ALL], ids=["same", "another first phase"])
def test_checkpoints_without_names_are_matched_by_their_config(tmp_path, now):
    first, _, _ = train(tmp_path / "first", epochs=2, phases=HEAD, optim=NO_NORM_DECAY)
    saved = by_name(first)
    resume_from = unnamed(tmp_path / "first/epoch_2.pth", cfg=OLD_PHASES + HOOK)
    _, brought, _ = train(
        tmp_path / "then", resume_from=resume_from, phases=now, optim=NO_NORM_DECAY
    )
    assert_same(brought, saved)


def test_an_old_checkpoint_of_one_group_is_matched(tmp_path):
    first, _, _ = train(tmp_path / "first", epochs=2, phases=None, optim=PLAIN)
    resume_from = unnamed(tmp_path / "first/epoch_2.pth")
    _, brought, _ = train(tmp_path / "then", resume_from=resume_from, phases=HEAD)
    assert_same(brought, by_name(first))


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (None, "holds no config"),
        ("phases = print(1)", "holds no config"),
        (HOOK, "that of shape .* does not fit"),
    ],
)
def test_an_old_checkpoint_of_unknown_order_is_refused(tmp_path, cfg, message):
    train(tmp_path / "first", epochs=2, phases=HEAD)
    resume_from = unnamed(tmp_path / "first/epoch_2.pth", cfg=cfg)
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "then", resume_from=resume_from, phases=ALL)


def test_our_configs_resume_by_name():
    runtime = Config.fromfile(Path(__file__).parents[3] / "configs/_base_/default_runtime.py")
    kinds = [HOOKS.get(hook["type"]) for hook in runtime.default_hooks.values()]
    assert any(issubclass(kind, ResumeByNameHook) for kind in kinds)

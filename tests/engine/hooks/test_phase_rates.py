import math

import pytest
from phased_runner import Spy, build_runner, rate_of

PHASE_1, PHASE_2 = 8, 8  # iterations: two epochs of four each
DERAIN = [5e-3] * PHASE_1 + [1e-3] * PHASE_2
HEAD = [0.0] * PHASE_1 + [1e-4] * PHASE_2
LINEAR = dict(type="LinearLR", by_epoch=False)


def ramp(start, steps):
    return [start + (1 - start) * step / (steps - 1) for step in range(steps)]


SCHEDULES = {
    "warm-up within phase 1": (
        dict(LINEAR, start_factor=0.2, begin=0, end=5),
        ramp(0.2, 5) + [1.0] * 11,
    ),
    "warm-up over both phases": (
        dict(LINEAR, start_factor=0.1, begin=0, end=11),
        ramp(0.1, 11) + [1.0] * 5,
    ),
    "warm-up within phase 2": (
        dict(LINEAR, start_factor=0.25, begin=8, end=12),
        [1.0] * 8 + ramp(0.25, 4) + [1.0] * 4,
    ),
    "milestone within phase 2": (
        dict(type="MultiStepLR", milestones=[3]),
        [1.0] * 12 + [0.1] * 4,
    ),
    "milestone at the switch": (
        dict(type="MultiStepLR", milestones=[2]),
        [1.0] * 8 + [0.1] * 8,
    ),
    "a decay stays while its scheduler lasts": (
        dict(type="MultiStepLR", milestones=[1], end=4),
        [1.0] * 4 + [0.1] * 12,
    ),
    "an ended scheduler leaves no trace": (
        dict(type="MultiStepLR", milestones=[1], end=2),
        [1.0] * 4 + [0.1] * 4 + [1.0] * 8,
    ),
    "a cosine down to zero per phase": (
        [
            dict(type="CosineAnnealingLR", T_max=8, begin=0, end=8, by_epoch=False),
            dict(type="CosineAnnealingLR", T_max=8, begin=8, end=16, by_epoch=False),
        ],
        [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)] * 2,
    ),
    "one cosine over both phases": (
        dict(type="CosineAnnealingLR", T_max=16, by_epoch=False),
        [(1 + math.cos(math.pi * step / 16)) / 2 for step in range(16)],
    ),
    "a cosine down to a part of the rate": (
        dict(type="CosineAnnealingLR", T_max=16, eta_min_ratio=0.2, by_epoch=False),
        [0.6 + 0.4 * math.cos(math.pi * step / 16) for step in range(16)],
    ),
    "warm-up and milestone": (
        [
            dict(LINEAR, start_factor=0.2, begin=0, end=5),
            dict(type="MultiStepLR", milestones=[3]),
        ],
        ramp(0.2, 5) + [1.0] * 7 + [0.1] * 4,
    ),
}
GROUPINGS = [
    pytest.param({}, id="one-group"),
    pytest.param(dict(paramwise_cfg=dict(norm_decay_mult=0.0)), id="group-per-parameter"),
]


def trained_rates(tmp_path, **kwargs):
    """Rates of a de-rain and of a head parameter at each of the 16 iterations."""
    derain, head = [], []

    def look(runner):
        derain.append(rate_of(runner, "neck.derain.0.weight"))
        head.append(rate_of(runner, "head.weight"))

    runner = build_runner(
        tmp_path,
        hooks=(Spy(look),),
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        **kwargs,
    )
    runner.train()
    return derain, head, runner


@pytest.mark.parametrize("optim", GROUPINGS)
def test_rates_without_schedulers_are_exactly_those_of_the_config(tmp_path, optim):
    derain, head, _ = trained_rates(tmp_path, optim=optim)
    assert derain == DERAIN
    assert head == HEAD


@pytest.mark.parametrize("optim", GROUPINGS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedulers_act_on_the_rates_of_the_phase(tmp_path, schedule, optim):
    scheduler, factors = SCHEDULES[schedule]
    derain, head, _ = trained_rates(tmp_path, param_scheduler=scheduler, optim=optim)
    pairs = zip(DERAIN, HEAD, factors, strict=True)
    expected_derain, expected_head = zip(*((a * f, b * f) for a, b, f in pairs), strict=True)
    assert derain == pytest.approx(list(expected_derain), rel=1e-9)
    assert head == pytest.approx(list(expected_head), rel=1e-9)


def test_absolute_floor_of_a_cosine_is_the_same_for_all_rates(tmp_path):
    cosine = dict(type="CosineAnnealingLR", T_max=16, eta_min=1e-5, by_epoch=False)
    derain, head, _ = trained_rates(tmp_path, param_scheduler=cosine)
    for rates, base in ((derain, 1e-3), (head, 1e-4)):
        part = (1 + math.cos(math.pi * 15 / 16)) / 2
        assert rates[15] == pytest.approx(1e-5 + (base - 1e-5) * part, rel=1e-9)


@pytest.mark.parametrize("schedule", ["warm-up within phase 1", "milestone within phase 2"])
def test_rates_keep_lr_mult_and_the_auto_scale_factor(tmp_path, schedule):
    scheduler, factors = SCHEDULES[schedule]
    derain, head, _ = trained_rates(
        tmp_path,
        param_scheduler=scheduler,
        optim=dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=0.1)))),
        auto_scale_lr=dict(enable=True, base_batch_size=8),
    )
    assert derain == pytest.approx([a * f / 2 for a, f in zip(DERAIN, factors, strict=True)])
    assert head == pytest.approx([a * f / 20 for a, f in zip(HEAD, factors, strict=True)])


def test_momentum_schedulers_follow_the_groups(tmp_path):
    schedulers = [
        dict(type="MultiStepMomentum", milestones=[1], gamma=0.5),
        dict(type="MultiStepLR", milestones=[3]),
    ]
    _, _, runner = trained_rates(tmp_path, param_scheduler=schedulers)
    groups = runner.optim_wrapper.optimizer.param_groups
    assert {group["betas"] for group in groups} == {(0.45, 0.999)}
    assert all(len(group["params"]) == 1 for group in groups)


@pytest.mark.parametrize("optim", GROUPINGS)
def test_log_shows_the_rate_of_each_pattern(tmp_path, optim):
    warm_up, factors = SCHEDULES["warm-up within phase 1"]
    _, _, runner = trained_rates(tmp_path, param_scheduler=warm_up, optim=optim)
    scalars = runner.message_hub.log_scalars
    expected = [a * f for a, f in zip(DERAIN, factors, strict=True)]
    assert scalars["train/neck.derain_lr"].data[0] == pytest.approx(expected)
    assert scalars["train/*_lr"].data[0] == pytest.approx(HEAD)
    # The first group, which mmengine takes for the whole optimizer.
    assert scalars["train/lr"].data[0] == pytest.approx(expected)
    assert "train/base_lr" not in scalars
    log = (next(tmp_path.glob("*/vis_data/scalars.json"))).read_text()
    assert '"neck.derain_lr": 0.001' in log


def test_optimizer_without_a_rate_is_refused(tmp_path):
    with pytest.raises(ValueError, match="lr above 0 as the unit of lr_mult, got 0"):
        trained_rates(tmp_path, optim=dict(optimizer=dict(type="AdamW", lr=0.0)))


@pytest.mark.parametrize("optim", GROUPINGS)
def test_an_optimizer_built_otherwise_is_refused_with_what_repairs_it(tmp_path, optim):
    plain = dict(optim, constructor="DefaultOptimWrapperConstructor")
    with pytest.raises(
        ValueError, match=r"optim_wrapper\.constructor=PhasedOptimWrapperConstructor$"
    ):
        trained_rates(tmp_path, optim=plain)

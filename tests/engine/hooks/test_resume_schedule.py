"""Whose schedule counts when a run is resumed with another one: the config's."""

import pytest
from phased_runner import ADAMW, changed, state_of
from test_resume_by_name import NO_NORM_DECAY, PLAIN, assert_same, by_name, train

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

import pytest
import torch
from phased_runner import Spy, build_runner, changed, rate_of, state_of
from test_phase_rates import SCHEDULES

SETUPS = {
    "plain": {},
    "group-per-parameter": dict(
        optim=dict(paramwise_cfg=dict(norm_decay_mult=0.0), clip_grad=dict(max_norm=0.1))
    ),
    "momentum": dict(optim=dict(optimizer=dict(type="SGD", lr=1.0, momentum=0.9))),
    "accumulation": dict(optim=dict(accumulative_counts=2)),
    "EMA": dict(hooks=(dict(type="EMAHook", momentum=0.1, update_buffers=True),)),
    "auto-scale": dict(auto_scale_lr=dict(enable=True, base_batch_size=8)),
} | {
    name: dict(param_scheduler=SCHEDULES[name][0])
    for name in (
        "warm-up over both phases",
        "warm-up and milestone",
        "a cosine down to zero per phase",
    )
}


def train(work_dir, *, resume_from=None, hooks=(), **kwargs):
    """Train on; return what the end depends on."""
    rates = []
    spy = Spy(lambda runner: rates.append(rate_of(runner, "neck.derain.0.weight")))
    runner = build_runner(
        work_dir,
        hooks=(*hooks, spy),
        load_from=resume_from and str(resume_from),
        resume=resume_from is not None,
        **kwargs,
    )
    runner.train()
    last = torch.load(work_dir / "epoch_4.pth", weights_only=False)
    return runner, state_of(runner.model), last, rates


def flat(tree, prefix=""):
    """Name → leaf of nested dicts and lists."""
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {k: v for key, item in items for k, v in flat(item, f"{prefix}/{key}").items()}
    return {prefix: tree}


def assert_resumes_bitwise(tmp_path, **kwargs):
    _, weights, checkpoint, rates = train(tmp_path / "whole", **kwargs)
    for epoch in (1, 2, 3):
        _, weights_again, checkpoint_again, rates_again = train(
            tmp_path / f"from_{epoch}",
            resume_from=tmp_path / "whole" / f"epoch_{epoch}.pth",
            **kwargs,
        )
        assert not changed(weights, weights_again)
        assert rates_again == rates[4 * epoch :]
        for part in ("state_dict", "ema_state_dict", "optimizer", "param_schedulers"):
            assert flat(checkpoint.get(part)).keys() == flat(checkpoint_again.get(part)).keys()
            for name, value in flat(checkpoint.get(part)).items():
                again = flat(checkpoint_again.get(part))[name]
                same = torch.equal(value, again) if torch.is_tensor(value) else value == again
                assert same, f"{part}{name} after epoch {epoch}: {value} != {again}"


@pytest.mark.parametrize("setup", SETUPS)
def test_resume_from_every_epoch_equals_the_uninterrupted_run(tmp_path, setup):
    assert_resumes_bitwise(tmp_path, **SETUPS[setup])


def test_resume_with_amp(tmp_path, amp_on_cpu):
    amp = dict(type="AmpOptimWrapper", dtype="bfloat16", loss_scale=dict(growth_interval=3))
    assert_resumes_bitwise(tmp_path, optim=amp)


def test_leftover_gradients_do_not_reach_over_a_resumed_switch(tmp_path):
    # 5 iterations per epoch, 10 per phase, in steps of 4: two are left over at the switch.
    kwargs = dict(optim=dict(accumulative_counts=4), batches=5)
    _, weights, _, _ = train(tmp_path / "whole", **kwargs)
    again = train(tmp_path / "again", resume_from=tmp_path / "whole" / "epoch_2.pth", **kwargs)
    assert not changed(weights, again[1])


def test_checkpoint_without_optimizer_gets_the_rates_of_its_phase(tmp_path):
    no_optimizer = dict(checkpoint=dict(type="CheckpointHook", interval=1, save_optimizer=False))
    train(tmp_path / "whole", default_hooks=no_optimizer)
    _, _, _, rates = train(
        tmp_path / "again",
        resume_from=tmp_path / "whole" / "epoch_3.pth",
        default_hooks=no_optimizer,
    )
    assert rates == [1e-3] * 4


def test_changed_rates_apply_on_resume(tmp_path):
    train(tmp_path / "whole")
    phases = [
        dict(name="derain", epochs=(1, 2), lr={"neck.derain": 5e-3}),
        dict(name="joint", epochs=(3, 4), lr={"neck.derain": 7e-4, "*": 1e-4}),
    ]
    resume_from = tmp_path / "whole" / "epoch_3.pth"
    _, _, _, rates = train(tmp_path / "again", resume_from=resume_from, phases=phases)
    assert rates == [7e-4] * 4

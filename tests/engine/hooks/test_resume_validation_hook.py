import pytest
import torch
from phased_runner import Stop, build_runner

from derain_plugin.engine.hooks import ResumeValidationHook

EPOCHS = 4


def train(work_dir, scores=(0.0,) * EPOCHS, *, resume_from=None, crash_after=None, **kwargs):
    """Train; return the epochs that were validated."""
    train_cfg = dict(by_epoch=True, max_epochs=EPOCHS) | kwargs.pop("train_cfg", {})
    runner = build_runner(
        work_dir,
        batches=1,
        scores=list(scores),
        train_cfg=train_cfg,
        default_hooks=dict(
            checkpoint=dict(type="CheckpointHook", interval=1, save_best="acc"),
            resume_validation=dict(type="ResumeValidationHook"),
        ),
        hooks=[Stop(crash_after)] if crash_after else [],
        load_from=resume_from and str(resume_from),
        **dict(resume=resume_from is not None) | kwargs,
    )
    asked = runner.val_loop.evaluator.metrics[0].asked if runner.val_loop else []
    try:
        runner.train()
    except KeyboardInterrupt:
        assert crash_after == runner.epoch + 1
    return asked


@pytest.mark.parametrize(
    ("schedule", "validated"),
    [
        pytest.param({}, {1: [1, 2, 3, 4], 2: [2, 3, 4], 4: [4]}, id="every epoch"),
        pytest.param(
            dict(val_interval=2), {1: [2, 4], 2: [2, 4], 3: [4], 4: [4]}, id="every second"
        ),
        pytest.param(dict(val_interval=3), {3: [3, 4], 4: [4]}, id="the last one always"),
        pytest.param(dict(val_begin=3), {1: [3, 4], 2: [3, 4], 3: [3, 4]}, id="from the third on"),
        pytest.param(
            dict(val_interval=2, dynamic_intervals=[(4, 1)]),
            {1: [2, 3, 4], 2: [2, 3, 4], 3: [3, 4]},
            id="more often towards the end",
        ),
    ],
)
def test_repeats_what_the_loop_validates_and_nothing_else(tmp_path, schedule, validated):
    whole = train(tmp_path / "whole", train_cfg=schedule)
    for epoch, expected in validated.items():
        assert expected == [number for number in whole if number >= epoch]
        checkpoint = tmp_path / f"whole/epoch_{epoch}.pth"
        again = train(tmp_path / f"{epoch}", train_cfg=schedule, resume_from=checkpoint)
        assert again == expected, epoch


def best_of(checkpoint):
    info = torch.load(checkpoint, weights_only=False)["message_hub"]["runtime_info"]
    return info.get("best_score"), info.get("best_ckpt")


@pytest.mark.parametrize("crash_after", [1, 2, 4])
def test_best_checkpoint_is_that_of_the_whole_run(tmp_path, crash_after):
    scores = [0.5, 0.7, 0.6, 0.8]
    train(tmp_path, scores, crash_after=crash_after)
    train(tmp_path, scores, resume_from=tmp_path / f"epoch_{crash_after}.pth")
    # Also in the checkpoint that was saved before the lost validation.
    assert [best_of(tmp_path / f"epoch_{epoch}.pth")[0] for epoch in (1, 2, 4)] == [0.5, 0.7, 0.8]
    best = sorted(tmp_path.glob("best_*"))
    assert [path.name for path in best] == ["best_acc_epoch_4.pth"]
    assert best_of(tmp_path / "epoch_4.pth")[1] == str(best[0])


def test_loading_weights_validates_nothing(tmp_path):
    train(tmp_path / "whole")
    options = dict(resume_from=tmp_path / "whole/epoch_2.pth", resume=False)
    again = train(tmp_path / "again", train_cfg=dict(val_begin=0), **options)
    assert again == [1, 2, 3, 4]


def test_run_without_validation_resumes(tmp_path):
    nothing = dict(val_dataloader=None, val_evaluator=None, val_cfg=None)
    train(tmp_path)
    assert train(tmp_path, resume_from=tmp_path / "epoch_2.pth", **nothing) == []


def test_comes_after_the_other_default_hooks(tmp_path):
    hooks = build_runner(tmp_path, hooks=[dict(type="ResumeValidationHook")]).hooks
    assert isinstance(hooks[-1], ResumeValidationHook)

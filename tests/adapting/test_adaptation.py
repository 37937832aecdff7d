"""Training of the neck alone, stopped and resumed."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.visualization import Visualizer
from small_detectors import frozen

from derain_plugin.adapting import progress, training
from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.training import Schedule, train

SCHEDULE = Schedule(5, batch_size=2, lr=1e-2)


class Stop(Hook):
    """Stop as a kill would, after so many iterations."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch):
    monkeypatch.setattr(training, "ROUND", 2)


def test_a_resumed_training_ends_as_one_that_was_not_stopped(photos, tmp_path):
    whole, stopped = frozen("rtdetr"), frozen("rtdetr")
    before = hash_of(whole.weights())
    rounds = train(whole, photos, SCHEDULE, work_dir=tmp_path / "whole")
    assert len(rounds) == 3
    with pytest.raises(KeyboardInterrupt):
        train(stopped, photos, SCHEDULE, work_dir=tmp_path / "stopped", hooks=[Stop()])
    resumed = frozen("rtdetr")
    assert len(train(resumed, photos, SCHEDULE, work_dir=tmp_path / "stopped", resume=True)) == 2
    assert hash_of(resumed.derain.state_dict()) == hash_of(whole.derain.state_dict())
    assert hash_of(frozen("rtdetr").derain.state_dict()) != hash_of(whole.derain.state_dict())
    assert hash_of(whole.weights()) == before


def test_training_brings_the_losses_down(photos, tmp_path):
    detector = frozen("yolox")
    before = hash_of(detector.weights())
    schedule = Schedule(16, batch_size=2, lr=1e-2, clean_share=0, severity=(3, 3))
    rounds = train(detector, photos[:2], schedule, work_dir=tmp_path)
    first, last = (sum(r["loss"] for r in part) for part in (rounds[:3], rounds[-3:]))
    assert last < first
    assert hash_of(detector.weights()) == before  # BatchNorm's statistics, too


def test_no_visualizer_is_left_for_later_runs(photos, tmp_path):
    before = [*Visualizer._instance_dict]
    train(frozen("yolox"), photos, Schedule(1, batch_size=2), work_dir=tmp_path)
    assert [*Visualizer._instance_dict] == before


def test_workers_change_nothing(photos, tmp_path):
    hashes = set()
    for workers in (0, 1):
        detector = frozen("rtdetr")
        schedule = Schedule(2, batch_size=2)
        train(detector, photos, schedule, work_dir=tmp_path / str(workers), workers=workers)
        hashes.add(hash_of(detector.derain.state_dict()))
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["rtdetr", "yolox"])
def test_mixed_precision_trains_finite_weights(name, photos, tmp_path):
    detector = frozen(name)
    (losses,) = train(detector, photos, Schedule(1, 2, amp=True), work_dir=tmp_path)
    assert all(torch.isfinite(torch.tensor(loss)) for loss in losses.values())


def test_counts_are_counts():
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        Schedule(0)
    with pytest.raises(ValueError, match="lr must be above 0"):
        Schedule(1, lr=0)


def test_a_log_says_early_and_after_each_round_how_long_it_takes(capsys, monkeypatch):
    monkeypatch.setattr(progress, "tqdm", lambda **_: SimpleNamespace(disable=True, close=int))
    loader = SimpleNamespace(sampler=SimpleNamespace(num_samples=100), batch_size=2)
    runner = SimpleNamespace(iter=0, train_loop=SimpleNamespace(dataloader=loader))
    hook = progress.ProgressHook()
    hook.before_train(runner)
    for runner.iter in range(10):  # mmengine counts a step after its hooks
        hook.after_train_iter(runner, runner.iter)
    runner.iter = 10
    hook.after_train_epoch(runner)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" iterations")[0] for line in lines] == ["5 of 50", "10 of 50"]

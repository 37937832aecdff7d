"""What a config that names SafeFilesHook gets from mmengine's own Runner."""

import gc
from importlib import import_module

import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader
from phased_runner import build_runner

from derain_plugin.engine.safety import load_from_local
from derain_plugin.engine.safety.install import WholeFileBackend

SAFE = dict(safe_files=dict(type="SafeFilesHook"))


@pytest.fixture(autouse=True)
def _nothing_installed():
    """A run of an earlier test that failed may hold an installation still."""
    for holder in list(import_module("derain_plugin.engine.safety.install")._holders):
        holder.undo()


class Look(Hook):
    """Notes what reads and writes checkpoints."""

    def __init__(self):
        self.seen = set()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.add(in_place())


def in_place():
    return CheckpointLoader._get_checkpoint_loader("a.pth"), type(get_file_backend("a.pth"))


def run(work_dir, **options):
    look = Look()
    runner = build_runner(work_dir, batches=1, default_hooks=SAFE, hooks=(look,), **options)
    return runner, look


def test_safety_lasts_as_long_as_the_run(tmp_path):
    before = in_place()
    assert before != (load_from_local, WholeFileBackend)
    runner, look = run(tmp_path)
    runner.train()
    assert look.seen == {(load_from_local, WholeFileBackend)}
    assert in_place() == before
    runner.val()
    assert in_place() == before


def test_a_run_that_fails_leaves_nothing_once_it_is_forgotten(tmp_path):
    class Fail(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            raise RuntimeError("failed on purpose")

    before = in_place()
    runner, _ = run(tmp_path)
    runner.register_hook(Fail())
    with pytest.raises(RuntimeError, match="on purpose"):
        runner.train()
    del runner
    gc.collect()
    assert in_place() == before


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return __import__("os").mkdir, (str(self.marker),)


@pytest.mark.parametrize("resume", [False, True])
def test_code_in_a_checkpoint_to_start_from_is_refused(tmp_path, resume):
    torch.save(dict(state_dict={}, extra=Evil(tmp_path / "executed")), tmp_path / "evil.pth")
    runner, _ = run(tmp_path / "run", load_from=str(tmp_path / "evil.pth"), resume=resume)
    with pytest.raises(ValueError, match=r"evil\.pth was refused"):
        runner.train()
    assert not (tmp_path / "executed").exists()


def test_a_test_alone_is_safe_too(tmp_path):
    torch.save(dict(state_dict={}, extra=Evil(tmp_path / "executed")), tmp_path / "evil.pth")
    runner, _ = run(tmp_path / "run", load_from=str(tmp_path / "evil.pth"))
    with pytest.raises(ValueError, match=r"evil\.pth was refused"):
        runner.val()

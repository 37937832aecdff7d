"""A training whose disk becomes full keeps its checkpoints, says so, and can be continued."""

import errno

import pytest
from forked import run_forked
from killed_training import Operations, assert_same, check_what_is_left, outcome, train
from small_disk import fill_disk, mount_small_disk, require_small_disk

from derain_plugin.engine.safety.checkpoint import load_from_local

FILES = [  # in the order in which they are written; epochs 1 and 2 are the best so far
    *["epoch_1.pth", "last_checkpoint", "best_acc_epoch_1.pth", "epoch_1.pth", "last_checkpoint"],
    *["epoch_2.pth", "last_checkpoint", "best_acc_epoch_2.pth", "epoch_2.pth", "last_checkpoint"],
]


def test_disk_becomes_full_before_each_file(tmp_path):
    require_small_disk()
    train(tmp_path / "whole")
    (tmp_path / "small").mkdir()
    run_forked(fill_before_each_file, tmp_path / "small", outcome(tmp_path / "whole"))


def fill_before_each_file(disk, whole):
    mount_small_disk(disk, 2048)
    for number, name in enumerate(FILES):
        work_dir, fillers = disk / f"{number}", []

        def fill(work_dir=work_dir, fillers=fillers):
            fillers.append((snapshot(work_dir), fill_disk(disk)))

        watch = Opened(number + 1, fill)
        with pytest.raises(OSError, match=r"No space left on device \(make room in ") as caught:
            train(work_dir)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(work_dir / name)
        assert str(work_dir) in str(caught.value).partition("make room in")[2]
        assert len(watch.seen) == number + 1
        [(before, filler)] = fillers
        assert snapshot(work_dir) == before  # nothing half-written, nothing lost
        check_what_is_left(work_dir)
        filler.unlink()
        train(work_dir)
        assert_same(outcome(work_dir), whole)


class Opened(Operations):
    """Looks at what is opened for writing alone."""

    def _look(self, event, arguments):
        if event == "open":
            super()._look(event, arguments)


def snapshot(work_dir):
    names = "*.pth*", "last_checkpoint*"
    return {
        path.name: path.read_bytes()
        for pattern in names
        for path in work_dir.glob(pattern)
        if path.stat().st_size
    }


def test_without_room_for_a_successor_the_only_checkpoint_stays(tmp_path):
    """The disk holds the files of one epoch, but not a second checkpoint beside them."""
    require_small_disk()
    (tmp_path / "small").mkdir()
    run_forked(outgrow_the_disk, tmp_path / "small")


def outgrow_the_disk(disk):
    mount_small_disk(disk, 2048)
    work_dir = disk / "run"
    Opened(6, lambda: fill_disk(disk, leave=8))
    with pytest.raises(OSError, match=r"make room in .*epoch_2\.pth"):
        train(work_dir)
    assert load_from_local((work_dir / "last_checkpoint").read_text())["meta"]["epoch"] == 1
    assert not list(work_dir.glob("*.partial"))

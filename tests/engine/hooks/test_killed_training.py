"""Killed again and again, at chosen and at random moments, a training ends as if it never was."""

import json
import os
import random
import re
import time
from functools import partial

import pytest
from forked import run_forked
from killed_training import (
    BATCHES,
    EPOCHS,
    Operations,
    StopAt,
    assert_same,
    finish,
    kill_after,
    kill_when_stopped,
    outcome,
    train,
    write_half,
)

AIMED = {
    "before the first step": ("before_train_iter", 1, 0),
    "in phase 1": ("after_train_iter", 2, 1),
    "in a validation of phase 1": ("after_val_iter", 2, 0),
    "after a validation of phase 1": ("after_val_epoch", 2),
    "at the end of phase 1": ("after_train_epoch", 3),
    "before the switch": ("before_train_epoch", 4, None, "HIGHEST"),
    "after the switch": ("before_train_epoch", 4),
    "after the first step of phase 2": ("after_train_iter", 4, 0),
    "in a validation of phase 2": ("after_val_iter", 4, 0),
    "in phase 2": ("after_train_iter", 5, 2),
    "in the last validation": ("after_val_iter", 6, 0),
    "after the last validation": ("after_val_epoch", 6),
}
RANDOM_KILLS = int(os.environ.get("RANDOM_KILLS", "12"))  # more of them for a long trial


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """By how many checkpoints are kept: how the uninterrupted training ends."""
    ends = {}
    for kept in (1, 2):
        work_dir = tmp_path_factory.mktemp(f"whole_{kept}")
        began = time.monotonic()
        finish(work_dir, kept)
        ends[kept] = dict(outcome(work_dir)), time.monotonic() - began
    assert len(ends[1][0]["diary"]) == EPOCHS * BATCHES
    return ends


def test_killed_at_chosen_moments(whole, tmp_path):
    for moment, point in AIMED.items():
        assert kill_when_stopped(tmp_path, lambda stop, at=point: [StopAt(stop, *at)]), moment
    finish(tmp_path)
    assert_same(outcome(tmp_path), whole[1][0])


@pytest.mark.slow
def test_killed_before_everything_it_does_to_files(whole, tmp_path):
    run_forked(record_operations, tmp_path / "whole")
    kinds = json.loads((tmp_path / "whole/operations").read_text())
    assert set(kinds) == KINDS
    for number, kind in enumerate(kinds, 1):
        work_dir = tmp_path / f"{number}"
        assert kill_when_stopped(work_dir, partial(stop_before_operation, number)), kind
        finish(work_dir)
        assert_same(outcome(work_dir), whole[1][0])


KINDS = {"open epoch", "rename epoch", "remove epoch", "open best", "rename best", "remove best"}
KINDS |= {"open last", "rename last"}


def record_operations(work_dir):
    watch = Operations(0, None)
    train(work_dir)
    kinds = [
        f"{event.removeprefix('os.')} {re.match('[a-z]+', name)[0]}" for event, name in watch.seen
    ]
    (work_dir / "operations").write_text(json.dumps(kinds))


def stop_before_operation(number, stop):
    Operations(number, stop)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_killed_when_a_file_is_half_written(whole, tmp_path, number):
    """Files 1 and 2 are of the first checkpoint, 3 is the best one, 4 the first one again."""
    assert kill_when_stopped(tmp_path, partial(write_half, number))
    assert kill_when_stopped(tmp_path, partial(write_half, number))
    assert list(tmp_path.glob("*.partial"))
    finish(tmp_path)
    assert_same(outcome(tmp_path), whole[1][0])


@pytest.mark.slow
@pytest.mark.parametrize("kept", [1, 2])
def test_killed_at_random_moments(whole, tmp_path, kept):
    end, seconds = whole[kept]
    rng, kills = random.Random(kept), 0
    # Of as many trainings as it takes: a few where the first one, which gave `seconds`, was slow.
    for number in range(10 * RANDOM_KILLS):
        work_dir = tmp_path / f"{number}"
        while kills < RANDOM_KILLS and kill_after(work_dir, rng.uniform(0, seconds), kept):
            kills += 1
        finish(work_dir, kept)
        assert_same(outcome(work_dir), end)
        if kills == RANDOM_KILLS:
            break
    assert kills == RANDOM_KILLS

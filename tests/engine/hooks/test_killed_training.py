"""Killed again and again, at chosen and at random moments, a training ends as if it never was."""

import random
import time
from functools import partial

import pytest
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
from forked import run_forked

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
RANDOM_KILLS = 12


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

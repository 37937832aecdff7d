"""The same rain for both detectors, and what they find in it."""

import numpy as np
import pytest

from derain_plugin.app.comparison import MAX_SIDE, RAIN_SEED, sheet_of
from derain_plugin.app.examples import EXAMPLES, load_example
from derain_plugin.rain import render_rain


@pytest.mark.parametrize("severity", [0, 3])
def test_both_see_the_same_rain(comparison, grey, severity):
    comparison.look(grey, severity=severity, score_thr=0)
    for detector in comparison.detectors:
        np.testing.assert_array_equal(
            detector.images[0], render_rain(grey, severity, seed=RAIN_SEED)
        )


def test_rain_and_threshold_decide_what_is_found(comparison, grey):
    assert [len(s.found) for s in comparison.look(grey, severity=0, score_thr=0.4)] == [2, 2]
    assert [len(s.found) for s in comparison.look(grey, severity=4, score_thr=0.4)] == [1, 1]
    assert [len(s.found) for s in comparison.look(grey, severity=0, score_thr=0.6)] == [1, 1]


def test_large_images_are_shrunk_first(comparison):
    seen = comparison.look(np.zeros((10, 2 * MAX_SIDE, 3), np.uint8), severity=0, score_thr=0.4)
    assert seen[0].view.painted.shape == (5, MAX_SIDE, 3)


def test_without_a_neck_there_are_no_masks(comparison, grey):
    seen = comparison.look(grey, severity=0, score_thr=0.4)
    assert not comparison.shows_masks
    assert seen[1].view.masked is None
    assert sheet_of(seen).shape[1] == 2 * seen[0].view.painted.shape[1] + 4


@pytest.mark.parametrize(("severity", "score_thr"), [(6, 0.4), (-1, 0.4), (1, 1.1), (1, -0.1)])
def test_out_of_range(comparison, grey, severity, score_thr):
    with pytest.raises(ValueError, match=r"severity|threshold"):
        comparison.look(grey, severity=severity, score_thr=score_thr)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_images_that_nobody_writes_into(name):
    image = load_example(name)
    assert image.ndim == 3
    assert image.dtype == np.uint8
    assert not image.flags.writeable


def test_no_other_file_is_an_example():
    with pytest.raises(ValueError, match="no example"):
        load_example("../../etc/passwd")

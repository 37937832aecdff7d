"""The same rain for both detectors, and what they find in it."""

import numpy as np
import pytest

from derain_plugin.app.comparison import MAX_SIDE, RAIN_SEED, side_by_side
from derain_plugin.rain import render_rain


@pytest.mark.parametrize("severity", [0, 3])
def test_both_see_the_same_rain(comparison, grey, severity):
    comparison.detect(grey, severity=severity, score_thr=0)
    for detector in comparison.detectors:
        np.testing.assert_array_equal(
            detector.images[0], render_rain(grey, severity, seed=RAIN_SEED)
        )


def test_rain_and_threshold_decide_what_is_found(comparison, grey):
    assert [len(r.found) for r in comparison.detect(grey, severity=0, score_thr=0.4)] == [2, 2]
    assert [len(r.found) for r in comparison.detect(grey, severity=4, score_thr=0.4)] == [1, 1]
    assert [len(r.found) for r in comparison.detect(grey, severity=0, score_thr=0.6)] == [1, 1]


def test_large_images_are_shrunk_first(comparison):
    results = comparison.detect(
        np.zeros((10, 2 * MAX_SIDE, 3), np.uint8), severity=0, score_thr=0.4
    )
    assert results[0].view.painted.shape == (5, MAX_SIDE, 3)


def test_without_a_neck_there_are_no_masks(comparison, grey):
    results = comparison.detect(grey, severity=0, score_thr=0.4)
    assert not comparison.shows_masks
    assert results[1].view.masked is None
    assert side_by_side(results).shape[1] == 2 * results[0].view.painted.shape[1] + 4


@pytest.mark.parametrize(("severity", "score_thr"), [(6, 0.4), (-1, 0.4), (1, 1.1), (1, -0.1)])
def test_out_of_range(comparison, grey, severity, score_thr):
    with pytest.raises(ValueError, match=r"severity|threshold"):
        comparison.detect(grey, severity=severity, score_thr=score_thr)

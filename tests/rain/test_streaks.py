import itertools

import cv2
import numpy as np
import pytest

from derain_plugin.rain import SEVERITIES, streak_mask

SIZES = [(240, 320), (333, 187), (64, 48)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_milder_streaks_are_among_the_worse_ones(size, seed):
    masks = [streak_mask(*size, severity, seed=seed) for severity in SEVERITIES.values()]
    for mild, worse in itertools.pairwise(masks):
        # Rounding costs a level per layer; OpenCV cuts lines at the frame not quite alike.
        assert (mild.astype(int) - worse > 4).mean() < 1e-4
        assert worse.mean() > mild.mean()


@pytest.mark.parametrize("threshold", [0, 8, 32])
def test_coverage_grows_with_severity(threshold):
    masks = [streak_mask(240, 320, severity, seed=0) for severity in SEVERITIES.values()]
    coverage = [(mask > threshold).mean() for mask in masks]
    assert all(worse > mild for mild, worse in itertools.pairwise(coverage))


@pytest.mark.parametrize("height", [360, 480, 960])
def test_rain_is_the_same_at_every_resolution(height):
    small, large = (streak_mask(h, h * 4 // 3, SEVERITIES[4], seed=3) for h in (240, height))
    assert large.mean() == pytest.approx(small.mean(), rel=0.15)
    shrunk = cv2.resize(large, small.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.8


def test_streaks_follow_the_fall_direction():
    def share_of_steps(mask: np.ndarray, axis: int) -> float:
        return np.abs(np.diff(mask.astype(float), axis=axis)).mean()

    for seed in range(5):
        mask = streak_mask(240, 320, SEVERITIES[3], seed=seed)
        assert share_of_steps(mask, axis=1) > 2 * share_of_steps(mask, axis=0)


def test_wind_differs_between_images():
    def lean(seed: int) -> float:
        mask = streak_mask(240, 320, SEVERITIES[3], seed=seed).astype(float)
        down, across = np.gradient(mask)
        return np.rad2deg(np.arctan2(-(down * across).sum(), (across**2).sum()))

    leans = [lean(seed) for seed in range(12)]
    assert min(leans) < -3
    assert max(leans) > 3


def test_streaks_are_varied_and_see_through():
    mask = streak_mask(480, 640, SEVERITIES[5], seed=0)
    assert mask.max() < 240
    assert len(np.unique(mask)) > 80


def test_streaks_fill_the_frame_up_to_its_edges():
    masks = [streak_mask(240, 320, SEVERITIES[5], seed=seed) for seed in range(16)]
    mean = np.mean(masks, axis=0)
    for strips in (mean.reshape(24, -1), mean.T.reshape(32, -1)):
        np.testing.assert_allclose(strips.mean(axis=1), mean.mean(), rtol=0.15)

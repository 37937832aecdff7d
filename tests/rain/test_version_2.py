"""Rain of version 2 stays what it was."""

import cv2
import numpy as np
import pytest

from derain_plugin.rain import SEVERITIES, render_rain, version_2
from derain_plugin.rain.photos import load_photos

LOOKS = [  # mean, deviation, mean step to the right: recorded when it was the latest version
    [100.67, 59.14, 8.07],
    [107.46, 44.49, 7.43],
    [117.17, 31.17, 7.45],
    [125.46, 24.70, 7.79],
    [133.31, 19.81, 8.09],
]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return cv2.resize(load_photos("coffee")[0], (160, 120), interpolation=cv2.INTER_AREA)


def test_looks_as_recorded(photo):
    looks = [version_2.render_rain(photo, k, seed=k).astype(float) for k in SEVERITIES]
    found = [[look.mean(), look.std(), np.abs(np.diff(look, axis=1)).mean()] for look in looks]
    np.testing.assert_allclose(found, LOOKS, atol=0.02)


def test_draws_the_streaks_of_a_larger_photo_in_as_much_detail_as_it_did():
    large = cv2.resize(load_photos("coffee")[0], (800, 600), interpolation=cv2.INTER_AREA)
    look = version_2.render_rain(large, 3, seed=3).astype(float)
    found = [look.mean(), look.std(), np.abs(np.diff(look, axis=1)).mean()]
    np.testing.assert_allclose(found, [118.242, 32.413, 6.373], atol=0.02)


def test_is_other_rain_than_the_latest(photo):
    assert (version_2.render_rain(photo, 3, seed=1) != render_rain(photo, 3, seed=1)).mean() > 0.5


def test_severity_zero_is_a_copy(photo):
    rendered = version_2.render_rain(photo, 0, seed=1)
    np.testing.assert_array_equal(rendered, photo)
    assert not np.shares_memory(rendered, photo)


@pytest.mark.parametrize(
    ("image", "severity", "seed", "error"),
    [
        (np.zeros((8, 8), np.uint8), 3, 0, ValueError),
        (np.zeros((8, 8, 3)), 3, 0, TypeError),
        (np.zeros((8, 8, 3), np.uint8), 6, 0, ValueError),
        (np.zeros((8, 8, 3), np.uint8), 0, -1, ValueError),
    ],
)
def test_bad_arguments_are_refused(image, severity, seed, error):
    with pytest.raises(error):
        version_2.render_rain(image, severity, seed=seed)

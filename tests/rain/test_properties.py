"""What must hold for every image, seed and severity."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from derain_plugin.rain import COMPONENTS, RENDERER_VERSION, SEVERITIES, render_rain, streak_mask
from derain_plugin.rain.photos import load_photos

PHOTOS = (
    "astronaut", "cell", "coins", "grass", "hubble_deep_field", "immunohistochemistry", "moon",
    "page", "retina", "stereo_motorcycle", "chelsea", "clock", "gravel", "brick", "camera",
    "coffee", "rocket", "text",
)  # fmt: skip
SEEDS = st.integers(0, 2**80)
# Few large ones, since their cost grows with their area.
SIDES = st.one_of(st.integers(32, 400), st.sampled_from([640, 1024]))


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_coverage_never_falls_as_severity_rises(height, width, seed):
    masks = [streak_mask(height, width, severity, seed=seed) for severity in SEVERITIES.values()]
    for mild, worse in itertools.pairwise(masks):
        assert worse.mean() >= mild.mean()
        for threshold in (0, 16, 64):
            assert (worse > threshold).sum() >= (mild > threshold).sum()
        # Each streak is still there. Rounding costs a level per layer; OpenCV cuts lines at the
        # frame not quite alike.
        assert (mild.astype(int) - worse > 6).mean() < 1e-3


@settings(max_examples=40, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    severity=st.integers(1, 5),
    seed=SEEDS,
    level=st.integers(0, 255),
    lens_drops=st.booleans(),
)
def test_every_image_becomes_a_rainy_one(height, width, severity, seed, level, lens_drops):
    image = np.full((height, width, 3), level, np.uint8)
    image[::2, ::3] = 255 - level
    before = image.copy()
    rendered = render_rain(image, severity, seed=seed, lens_drops=lens_drops)
    assert rendered.shape == image.shape
    assert rendered.dtype == np.uint8  # which holds no NaN
    np.testing.assert_array_equal(image, before)
    again = render_rain(image, severity, seed=seed, lens_drops=lens_drops)
    np.testing.assert_array_equal(rendered, again)
    np.testing.assert_array_equal(render_rain(image, 0, seed=seed, lens_drops=lens_drops), before)


@settings(max_examples=20, deadline=None)
@given(severity=st.integers(1, 5), seed=SEEDS)
def test_order_of_the_channels_does_not_matter(severity, seed):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = 40, 120, 200
    swapped = np.ascontiguousarray(image[..., ::-1])
    bgr, rgb = (
        render_rain(order, severity, seed=seed, components=COMPONENTS) for order in (image, swapped)
    )
    np.testing.assert_array_equal(bgr, rgb[..., ::-1])


@pytest.mark.parametrize("lens_drops", [False, True])
def test_mean_psnr_falls_with_severity_over_the_shipped_photos(lens_drops):
    photos = [
        cv2.resize(photo, (320, 240), interpolation=cv2.INTER_AREA)
        for photo in load_photos(*PHOTOS)
    ]
    assert len(photos) > 15
    ratios = [
        np.mean(
            [
                peak_signal_noise_ratio(p, render_rain(p, k, seed=i, lens_drops=lens_drops))
                for i, p in enumerate(photos)
            ]
        )
        for k in SEVERITIES
    ]
    for mild, worse in itertools.pairwise(ratios):
        assert worse < mild - 0.5  # dB


def test_another_look_needs_another_version():
    """A change that moves pixels must raise RENDERER_VERSION, and renew the numbers below."""
    image = cv2.resize(load_photos("coffee")[0], (160, 120), interpolation=cv2.INTER_AREA)
    looks = [
        render_rain(image, k, seed=k, components=name).astype(float)
        for k in SEVERITIES
        for name in COMPONENTS
    ]
    statistics = [[look.mean(), look.std(), np.abs(np.diff(look, axis=1)).mean()] for look in looks]
    assert RENDERER_VERSION == 3
    np.testing.assert_allclose(statistics, LOOKS_OF_VERSION_3, atol=0.02)


LOOKS_OF_VERSION_3 = [  # mean, deviation, mean step to the right; of each component
    [99.05, 72.50, 8.98],
    [101.79, 70.12, 8.52],
    [101.32, 70.63, 8.64],
    [98.53, 70.36, 8.40],
    [98.62, 72.68, 8.87],
    [98.60, 72.64, 8.90],
    [99.53, 72.24, 9.19],
    [108.30, 63.45, 7.70],
    [106.89, 66.07, 8.10],
    [98.65, 70.14, 8.40],
    [98.62, 72.68, 8.92],
    [98.96, 71.99, 9.00],
    [100.15, 71.99, 9.42],
    [111.47, 61.03, 7.43],
    [103.54, 69.17, 8.52],
    [98.03, 68.95, 8.29],
    [98.63, 72.69, 8.99],
    [98.68, 71.42, 8.93],
    [101.44, 71.42, 9.77],
    [122.32, 51.29, 6.19],
    [116.35, 59.93, 7.39],
    [99.01, 69.15, 8.29],
    [98.63, 72.70, 9.07],
    [96.86, 69.37, 8.84],
    [103.60, 70.55, 10.42],
    [135.18, 45.23, 5.31],
    [119.86, 60.18, 7.21],
    [97.88, 66.42, 7.94],
    [98.60, 71.19, 6.13],
    [96.38, 70.86, 8.68],
]

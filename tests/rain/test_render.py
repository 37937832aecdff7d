import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

import derain_plugin
from derain_plugin.rain import SEVERITIES, image_seed, render, render_rain, streak_mask
from derain_plugin.rain.mist import airlight
from derain_plugin.rain.render import mean_light, render_rain_with_streaks
from derain_plugin.rain.seeding import random_stream

# Loads the renderer without the package around it, which would import mmdet.
ELSEWHERE = """
import sys, types, hashlib
package = types.ModuleType("derain_plugin")
package.__path__ = [sys.argv[1]]
sys.modules["derain_plugin"] = package
import cv2, numpy as np
cv2.setNumThreads(1)
from derain_plugin.rain import render_rain
image = (np.arange(97 * 131 * 3) % 251).astype(np.uint8).reshape(97, 131, 3)
print(hashlib.sha256(render_rain(image, 4, seed=(3, 11)).tobytes()).hexdigest())
print([name for name in ("mmcv", "mmengine", "mmdet", "torch") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return cv2.resize(data.coffee(), (320, 240), interpolation=cv2.INTER_AREA)


def test_severity_zero_is_a_copy_of_the_input(photo):
    rendered = render_rain(photo, 0, seed=1)
    np.testing.assert_array_equal(rendered, photo)
    assert not np.shares_memory(rendered, photo)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_seed_decides_every_pixel(photo, severity):
    first = render_rain(photo, severity, seed=7)
    np.random.seed(severity)  # noqa: NPY002  the global generator must not matter
    np.testing.assert_array_equal(first, render_rain(photo, severity, seed=7))
    assert (first != render_rain(photo, severity, seed=8)).mean() > 0.2


@pytest.mark.parametrize("lens_drops", [False, True])
@pytest.mark.parametrize("severity", [0, *SEVERITIES])
def test_streaks_come_with_the_same_rain(photo, severity, lens_drops):
    rain = dict(seed=(7, 1), components="streaks,veil", lens_drops=lens_drops)
    rainy, streaks = render_rain_with_streaks(photo, severity, **rain)
    expected = render_rain(photo, severity, **rain)
    np.testing.assert_array_equal(rainy, expected)
    if severity:
        mask = streak_mask(*photo.shape[:2], SEVERITIES[severity], seed=(7, 1))
        np.testing.assert_array_equal(streaks, mask)
    else:
        assert streaks.shape == photo.shape[:2]
        assert not streaks.any()


def test_other_process_renders_the_same_pixels_without_mm_packages():
    image = (np.arange(97 * 131 * 3) % 251).astype(np.uint8).reshape(97, 131, 3)
    here = sha256(render_rain(image, 4, seed=(3, 11)).tobytes()).hexdigest()
    folder = str(Path(derain_plugin.__file__).parent)
    output = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, folder],
        env={**os.environ, "PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.split("\n")[:2] == [here, "[]"]


def test_global_generator_is_left_alone(photo):
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    render_rain(photo, 3, seed=5)
    assert np.random.rand() == expected  # noqa: NPY002


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    severity=st.integers(0, 5),
    seed=st.integers(0, 2**80),
)
def test_any_size_gives_a_new_image_and_keeps_the_input(height, width, severity, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    rendered = render_rain(image, severity, seed=seed)
    assert rendered.shape == image.shape
    assert rendered.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", [(3000, 4000), (1, 4000), (4000, 1)])
def test_extreme_size_is_kept(size):
    assert render_rain(np.zeros((*size, 3), np.uint8), 5, seed=0).shape == (*size, 3)


def test_views_render_like_arrays(photo):
    flipped, read_only = photo[::-1, ::-1, ::-1], photo.copy()
    read_only.flags.writeable = False
    expected = render_rain(np.ascontiguousarray(flipped), 3, seed=2)
    np.testing.assert_array_equal(render_rain(flipped, 3, seed=2), expected)
    np.testing.assert_array_equal(render_rain(read_only, 3, seed=2), render_rain(photo, 3, seed=2))


def test_scene_stays_in_place(photo):
    rendered = render_rain(photo, 3, seed=0)
    for channel in range(3):
        assert np.corrcoef(rendered[..., channel].ravel(), photo[..., channel].ravel())[0, 1] > 0.9


def test_streaks_brighten_a_dark_scene_and_vanish_before_a_white_one():
    dark, white = (
        render_rain(np.full((240, 320, 3), level, np.uint8), 4, seed=0, components="streaks")
        for level in (30, 255)
    )
    assert np.percentile(dark, 99) - np.median(dark) > 20
    assert np.percentile(white, 99) - np.median(white) < 20


def test_contrast_falls_with_severity(photo):
    deviations = [render_rain(photo, s, seed=0).astype(float).std() for s in range(6)]
    assert deviations == sorted(deviations, reverse=True)


def test_noise_has_the_deviation_of_the_table():
    grey = np.full((240, 320, 3), 128, np.uint8)
    # Blur leaves a plain image as it is, so that noise alone is seen.
    rendered = render_rain(grey, 5, seed=0, components="soft_focus").astype(float)
    # Rounding to whole grey levels adds 1/12 to the variance.
    expected = np.sqrt(SEVERITIES[5].noise ** 2 + 1 / 12)
    assert rendered.std() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((8, 8), np.uint8), ValueError, r"\(8, 8\)"),
        (np.zeros((8, 8, 1), np.uint8), ValueError, r"\(8, 8, 1\)"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, r"\(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, r"\(0, 8, 3\)"),
        (np.zeros((8, 8, 3), np.float32), TypeError, "float32"),
        ([[0]], TypeError, "list"),
    ],
)
def test_other_images_are_refused(image, error, message):
    with pytest.raises(error, match=message):
        render_rain(image, 3, seed=0)


@pytest.mark.parametrize(
    ("severity", "error", "message"),
    [(6, ValueError, "0-5, got 6"), (-1, ValueError, "got -1"), (2.5, TypeError, r"got 2\.5")],
)
def test_other_severities_are_refused(photo, severity, error, message):
    with pytest.raises(error, match=message):
        render_rain(photo, severity, seed=0)


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), ((3, -2), ValueError), (0.5, TypeError), ("a", TypeError)]
)
@pytest.mark.parametrize("severity", [0, 3])
def test_other_seeds_are_refused(photo, severity, seed, error):
    with pytest.raises(error, match="seed must"):
        render_rain(photo, severity, seed=seed)


def test_image_seed_tells_images_apart():
    seeds = [image_seed(0, image_id) for image_id in (1, 10, 11, "1_", "a", -1)]
    assert len(set(seeds)) == len(seeds)
    assert image_seed(0, 7) == image_seed(0, np.int64(7)) == image_seed(0, "7")


def test_night_has_a_darker_sky_than_day():
    assert airlight(0.05) < airlight(0.6) < 1


def test_mean_light_is_over_channels():
    image = np.zeros((5, 7, 3), np.uint8)
    image[..., 1] = 255
    assert mean_light(image) == pytest.approx(1 / 3)


@pytest.mark.parametrize("band", [1, 700, 2**18])
def test_rows_are_worked_on_in_bands_of_any_size(photo, monkeypatch, band):
    image = photo[:97, :131]
    whole = render_rain(image, 4, seed=3)
    monkeypatch.setattr(render, "_BAND", band)
    np.testing.assert_array_equal(render_rain(image, 4, seed=3), whole)


def test_blur_that_is_left_out_would_change_no_byte():
    noise = np.random.default_rng(0).integers(0, 2, (64, 64, 3), np.uint8) * 255
    deviation = render._LEAST_SOFTNESS
    blurred = cv2.GaussianBlur(noise, (3, 3), np.nextafter(deviation, 0))
    np.testing.assert_array_equal(blurred, noise)
    assert render._soften(noise, 2 * deviation).tobytes() != noise.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 8)])
def test_grain_is_drawn_byte_by_byte(size):
    height, width = size
    draws = np.frombuffer(random_stream(3, "noise").bytes(height * width), np.uint8)
    expected = render.as_bytes(16 + 2.5 * render.NORMAL)[draws].reshape(size)
    np.testing.assert_array_equal(render._grain(*size, deviation=2.5, seed=3), expected)

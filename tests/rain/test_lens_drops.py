import itertools

import cv2
import numpy as np
import pytest
from skimage import data

from derain_plugin.rain import SEVERITIES, render_rain
from derain_plugin.rain.lens_drops import add_lens_drops


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return cv2.resize(data.coffee(), (320, 240), interpolation=cv2.INTER_AREA)


def touched(photo: np.ndarray, severity: int, *, seed: int) -> np.ndarray:
    wet = photo.copy()
    add_lens_drops(wet, SEVERITIES[severity], seed=seed)
    return (wet != photo).any(axis=2)


def test_lens_stays_dry_unless_asked(photo):
    np.testing.assert_array_equal(
        render_rain(photo, 3, seed=1), render_rain(photo, 3, seed=1, lens_drops=False)
    )
    assert (render_rain(photo, 3, seed=1, lens_drops=True) != render_rain(photo, 3, seed=1)).any()


def test_rain_between_the_drops_stays_the_same(photo):
    photo = photo.copy()
    dry, wet = (render_rain(photo, 2, seed=4, lens_drops=drops) for drops in (False, True))
    changed = (dry != wet).any(axis=2).mean()
    assert 0.001 < changed < 0.2


def test_severity_zero_has_no_drops(photo):
    np.testing.assert_array_equal(render_rain(photo, 0, seed=1, lens_drops=True), photo)


@pytest.mark.parametrize("seed", range(4))
def test_drops_of_milder_rain_are_among_those_of_worse(seed):
    # On a gradient every drop shows another light than what it hides.
    ramp = cv2.merge([np.linspace(0, 255, 240 * 320).reshape(240, 320).astype(np.uint8)] * 3)
    places = [touched(ramp, severity, seed=seed) for severity in SEVERITIES]
    for mild, worse in itertools.pairwise(places):
        assert (mild & ~worse).sum() <= 0.02 * mild.sum()  # drops can overlap
        assert worse.sum() >= mild.sum()


def test_drops_turn_the_scene_upside_down():
    scene = np.zeros((400, 400, 3), np.uint8)
    scene[:200] = 250  # bright sky over dark ground
    before = scene.copy()
    add_lens_drops(scene, SEVERITIES[5], seed=2)
    assert scene[150:200].min() < 150 < before[150:200].min()
    assert scene[200:250].max() > 100 > before[200:250].max()


def test_drops_are_seeded(photo):
    first, again, other = (render_rain(photo, 4, seed=seed, lens_drops=True) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 5), (40, 2000)])
def test_any_size(size):
    image = np.full((*size, 3), 90, np.uint8)
    assert render_rain(image, 5, seed=0, lens_drops=True).shape == image.shape


def test_plain_scene_only_darkens_towards_rims():
    wet = np.full((240, 320, 3), 100, np.uint8)
    add_lens_drops(wet, SEVERITIES[5], seed=0)
    assert 60 <= wet.min() < 90
    assert wet.max() == 100


def test_resolution_does_not_matter(photo):
    small = cv2.resize(photo, (160, 120), interpolation=cv2.INTER_AREA)
    large, little = (touched(image, 5, seed=3) for image in (photo, small))
    shrunk = cv2.resize(large.astype(np.float32), (160, 120), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), little.ravel())[0, 1] > 0.8

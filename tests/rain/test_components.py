"""Components: which an image gets, and what each of them does."""

import itertools

import cv2
import numpy as np
import pytest
from skimage import data

from derain_plugin.rain import COMPONENTS, DEFAULT_COMPONENTS, SEVERITIES, component_shares
from derain_plugin.rain import render_rain as rain
from derain_plugin.rain.components import draw_components
from derain_plugin.rain.render import render_rain_with_streaks

SEEDS = range(400)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return cv2.resize(data.coffee(), (320, 240), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("components", "shares"),
    [
        ("veil", {"veil": 1.0}),
        ("veil, streaks=0.5", {"streaks": 0.5, "veil": 1.0}),
        (["spray", "lens_drops"], {"spray": 1.0, "lens_drops": 1.0}),
        (("spray=.25", "veil"), {"veil": 1.0, "spray": 0.25}),
        ({"soft_focus": 0.3, "wet_ground": 1}, {"wet_ground": 1.0, "soft_focus": 0.3}),
        ("veil,streaks=0", {"veil": 1.0}),
    ],
)
def test_components_are_named_as_text_list_or_shares(components, shares):
    assert component_shares(components) == shares
    assert list(component_shares(components)) == list(shares)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ("fog", "'fog' is no component of rain; there are streaks, veil"),
        ("veil,", "'' is no component"),
        ("veil=much", "like 0.5, got 'veil=much'"),
        ({"veil": 1.5}, "veil must be in 0-1, got 1.5"),
        ("veil=-1", "veil must be in 0-1, got -1"),
        ("veil=nan", "veil must be in 0-1, got nan"),
        ("veil=0", "rain needs a component"),
        ((), "rain needs a component"),
    ],
)
def test_other_components_are_refused(photo, components, message):
    for severity in (0, 3):
        with pytest.raises(ValueError, match=message):
            rain(photo, severity, seed=0, components=components)


def test_share_is_that_of_the_images():
    drawn = [draw_components("streaks=0.3,veil", seed=seed) for seed in SEEDS]
    assert 0.24 < np.mean(["streaks" in names for names in drawn]) < 0.36
    assert all("veil" in names for names in drawn)


def test_every_image_gets_a_component():
    drawn = [draw_components("streaks=0.1,veil=0.1", seed=seed) for seed in SEEDS]
    assert {len(names) for names in drawn} == {1, 2}
    assert 0.4 < np.mean(["veil" in names for names in drawn]) < 0.6


def test_images_of_a_smaller_share_are_among_those_of_a_larger():
    for seed in SEEDS:
        few, many = (draw_components(f"veil,spray={s}", seed=seed) for s in (0.3, 0.6))
        assert few <= many


def test_default_is_of_known_components():
    assert component_shares(DEFAULT_COMPONENTS).keys() <= set(COMPONENTS)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_grows_with_severity(photo, name):
    def distance(severity: int) -> float:
        rainy = rain(photo, severity, seed=3, components=name).astype(float)
        return np.abs(rainy - photo).mean()

    distances = [distance(severity) for severity in (0, *SEVERITIES)]
    for mild, worse in itertools.pairwise(distances):
        assert worse > mild + 0.15


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_seen_among_all_others(photo, name):
    others = [other for other in COMPONENTS if other != name]
    everything = rain(photo, 4, seed=0, components=COMPONENTS).astype(float)
    assert np.abs(everything - rain(photo, 4, seed=0, components=others)).mean() > 0.1


def test_streaks_stay_where_they_are_among_other_components(photo):
    alone, among = (
        render_rain_with_streaks(photo, 3, seed=2, components=components)[1]
        for components in ("streaks", COMPONENTS)
    )
    np.testing.assert_array_equal(alone, among)
    assert alone.any()
    assert not render_rain_with_streaks(photo, 3, seed=2, components="veil")[1].any()


def test_lens_drops_is_the_component_of_that_name(photo):
    wet = rain(photo, 3, seed=1, components="veil,lens_drops")
    np.testing.assert_array_equal(rain(photo, 3, seed=1, components="veil", lens_drops=True), wet)
    assert (rain(photo, 3, seed=1, components="veil") != wet).any()


@pytest.mark.parametrize(("severity", "spread"), [(1, 1.3), (3, 3), (5, 3)])
def test_images_of_a_severity_differ_as_photographs_do(photo, severity, spread):
    looks = [rain(photo, severity, seed=seed) for seed in range(40)]
    contrast = np.percentile([look.std() for look in looks], [10, 90])
    sharpness = np.percentile([cv2.Laplacian(look, cv2.CV_64F).var() for look in looks], [10, 90])
    assert contrast[1] > 1.05 * contrast[0]
    assert sharpness[1] > spread * sharpness[0]


def test_soft_focus_takes_edges_and_keeps_the_light(photo):
    soft = rain(photo, 5, seed=0, components="soft_focus")
    assert cv2.Laplacian(soft, cv2.CV_64F).var() < 0.5 * cv2.Laplacian(photo, cv2.CV_64F).var()
    assert soft.mean() == pytest.approx(photo.mean(), abs=0.5)


@pytest.mark.parametrize("deviation_of", [1, 2])
def test_soft_focus_is_the_same_at_any_resolution(photo, deviation_of):
    large = cv2.resize(photo, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    soft = rain(photo, 5, seed=deviation_of, components="soft_focus")
    shrunk = rain(large, 5, seed=deviation_of, components="soft_focus")
    shrunk = cv2.resize(shrunk, photo.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(soft.astype(float) - shrunk).mean() < 3


def test_veil_grows_with_distance():
    dark = np.full((240, 320, 3), 20, np.uint8)
    veil = rain(dark, 4, seed=0, components="veil").mean(axis=(1, 2)) - 20
    assert veil[100:120].mean() > 2 * veil[-20:].mean() > 2 * 5


def test_spray_lies_low():
    dark = np.full((240, 320, 3), 60, np.uint8)
    rows = np.mean(
        [rain(dark, 4, seed=s, components="spray").mean(axis=(1, 2)) for s in range(12)], axis=0
    )
    assert rows[110:200].mean() - 60 > 5 * (rows[:60].mean() - 60)


def test_wet_ground_mirrors_what_is_above_it():
    scene = np.full((240, 320, 3), 60, np.uint8)
    scene[:100, 200:260] = 40, 40, 240  # something red in the background
    wet = rain(scene, 5, seed=0, components="wet_ground").astype(float)
    redness = (wet[150:, :, 2] - wet[150:, :, 0]).mean(axis=0)
    assert redness[210:250].mean() > 10 > redness[:150].mean() + 5
    assert wet[150:, :150].mean() < 60  # darker where it mirrors nothing bright
    np.testing.assert_allclose(wet[:80].mean(), scene[:80].mean(), atol=0.5)


def test_veil_follows_a_depth_map():
    dark = np.full((240, 320, 3), 20, np.uint8)
    depth = np.full((240, 320), 0.0)
    depth[:, 160:] = 80
    veiled = rain(dark, 4, seed=0, components="veil", depth=depth).astype(float)
    assert veiled[:, :150].mean() == pytest.approx(20, abs=0.5)
    assert veiled[:, 170:].mean() > 60
    assert veiled[:, 170:].std() < 2


def test_unit_of_depth_does_not_matter(photo):
    depth = np.random.default_rng(0).random(photo.shape[:2])
    metres, feet = (rain(photo, 3, seed=1, depth=scale * depth) for scale in (1.0, 3.28))
    assert np.abs(metres.astype(int) - feet).max() <= 2


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.ones((240, 321)), r"height and width \(240, 320\), got \(240, 321\)"),
        (np.full((240, 320), np.nan), "finite"),
        (np.full((240, 320), np.inf), "set the sky to the farthest"),
        (np.full((240, 320), -1.0), "not negative"),
    ],
)
def test_other_depths_are_refused(photo, depth, message):
    with pytest.raises(ValueError, match=message):
        rain(photo, 3, seed=0, depth=depth)

import numpy as np
import pytest

from derain_plugin.rain import SEVERITIES, render_rain
from derain_plugin.rain.contact_sheet import _CAPTION_HEIGHT, _GAP, contact_sheet

HEIGHT, WIDTH = 48, 64


def tiles(sheet: np.ndarray, row: int) -> list[np.ndarray]:
    top = _CAPTION_HEIGHT + _GAP + row * (HEIGHT + _GAP)
    lefts = [k * (WIDTH + _GAP) for k in range(6)]
    return [sheet[top : top + HEIGHT, left : left + WIDTH] for left in lefts]


@pytest.mark.parametrize("lens_drops", [False, True])
def test_shows_every_severity_of_every_photo(lens_drops):
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(2)]
    sheet = contact_sheet(photos, height=HEIGHT, seed=5, lens_drops=lens_drops)
    assert sheet.shape == (_CAPTION_HEIGHT + 2 * HEIGHT + 3 * _GAP, 6 * (WIDTH + _GAP), 3)
    for row, photo in enumerate(photos):
        for severity, tile in enumerate(tiles(sheet, row)):
            expected = render_rain(photo, severity, seed=(5, row), lens_drops=lens_drops)
            np.testing.assert_array_equal(tile, expected)


def test_shows_the_components_that_are_named():
    photo = np.random.default_rng(0).integers(0, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    sheet = contact_sheet([photo], height=HEIGHT, components="veil")
    expected = render_rain(photo, 4, seed=(0, 0), components="veil")
    np.testing.assert_array_equal(tiles(sheet, 0)[4], expected)


@pytest.mark.parametrize("shape", [(300, 40, 3), (40, 300, 3), (1, 1, 3)])
def test_photos_of_any_shape_are_cut(shape):
    sheet = contact_sheet([np.full(shape, 70, np.uint8)], height=HEIGHT)
    assert (tiles(sheet, 0)[0] == 70).all()


def test_severities_are_named():
    assert [severity.words for severity in SEVERITIES.values()] == [
        "light", "light to moderate", "moderate", "heavy", "very heavy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("photos", "height", "message"),
    [([], 48, "at least one photo"), ([np.zeros((9, 9, 3), np.uint8)], 4, "16 px, got 4")],
)
def test_bad_arguments_are_refused(photos, height, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(photos, height=height)

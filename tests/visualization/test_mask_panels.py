import numpy as np
import pytest

from derain_plugin.visualization import draw_mask_panels, overlay_mask
from derain_plugin.visualization.mask_panels import GAP, HEADER, LEGEND_BAR, LEGEND_TEXT

DARK_BLUE, YELLOW = (68, 1, 84), (253, 231, 37)  # the ends of viridis
MASKS = [np.full(shape, 0.25, np.float32) for shape in ((5, 7), (3, 4), (2, 2))]


def test_shows_the_image_then_each_level():
    image = np.full((41, 67, 3), 90, np.uint8)
    shown = draw_mask_panels(image, MASKS, strides=(8, 16, 32))
    assert shown.shape == (HEADER + 41, 4 * (67 + GAP) + LEGEND_BAR + LEGEND_TEXT + GAP, 3)
    panels = [shown[HEADER:, i * (67 + GAP) :][:, :67] for i in range(4)]
    for panel, expected in zip(
        panels, [image, *(overlay_mask(image, m) for m in MASKS)], strict=True
    ):
        np.testing.assert_array_equal(panel, expected)


def test_the_legend_has_1_on_top():
    image = np.zeros((50, 60, 3), np.uint8)
    legend = draw_mask_panels(image, MASKS, strides=(8, 16, 32))[HEADER:, 4 * (60 + GAP) :]
    assert tuple(legend[0, 0]) == (253, 231, 37)
    assert tuple(legend[-1, LEGEND_BAR - 1]) == (68, 1, 84)
    assert (legend[:, LEGEND_BAR:] < 128).any()  # figures


@pytest.mark.parametrize("size", [(1, 1), (300, 9)])
def test_takes_images_smaller_than_their_titles(size):
    shown = draw_mask_panels(np.zeros((*size, 3), np.uint8), MASKS[:1], strides=(8,))
    assert len(shown) == HEADER + size[0]


def test_refuses_levels_without_stride():
    with pytest.raises(ValueError, match=r"3 masks .* got \(8, 16\)"):
        draw_mask_panels(np.zeros((9, 9, 3), np.uint8), MASKS, strides=(8, 16))


@pytest.mark.parametrize(("value", "colour"), [(0.0, DARK_BLUE), (1.0, YELLOW)])
@pytest.mark.parametrize("grey", [0, 200])
def test_a_mask_is_half_colour_half_image(value, colour, grey):
    image = np.full((6, 8, 3), grey, np.uint8)
    shown = overlay_mask(image, np.full((3, 4), value, np.float32))
    assert shown.shape == (6, 8, 3)
    assert shown.dtype == np.uint8
    assert np.abs(shown - (np.array(colour) + grey) / 2).max() <= 1.5


def test_the_scale_is_absolute():
    image = np.zeros((4, 8, 3), np.uint8)
    whole_range, narrow = np.float32([[0, 0.5, 1, 0.1]]), np.float32([[0.5, 0.5, 0.5, 0.1]])
    first, second = overlay_mask(image, whole_range), overlay_mask(image, narrow)
    np.testing.assert_array_equal(first[:, 6:], second[:, 6:])
    np.testing.assert_array_equal(first[:, 2:4], second[:, 2:4])
    assert (first[:, :2] != second[:, :2]).any()


def test_each_cell_stays_where_it_is_in_odd_sizes():
    image = np.zeros((37, 53, 3), np.uint8)
    mask = np.zeros((5, 7), np.float32)
    mask[1, 5] = 1
    ys, xs = np.nonzero(overlay_mask(image, mask)[..., 1] > 60)
    assert (ys.min(), ys.max()) == pytest.approx((37 / 5, 2 * 37 / 5 - 1), abs=1)
    assert (xs.min(), xs.max()) == pytest.approx((5 * 53 / 7, 6 * 53 / 7 - 1), abs=1)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), np.zeros((2, 2)), "uint8, got .* float32"),
        (np.zeros((4, 4), np.uint8), np.zeros((2, 2)), r"got \(4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((1, 2, 2)), r"got \(1, 2, 2\)"),
        (np.zeros((4, 4, 3), np.uint8), np.full((2, 2), 1.5), "0-1, got 1.5 to 1.5"),
        (np.zeros((4, 4, 3), np.uint8), np.full((2, 2), -0.5), "0-1, got -0.5"),
        (np.zeros((4, 4, 3), np.uint8), np.array([[0, np.nan]]), "0-1, got nan"),
    ],
)
def test_refuses_what_is_no_image_or_mask(image, mask, message):
    with pytest.raises(ValueError, match=message):
        overlay_mask(image, mask)

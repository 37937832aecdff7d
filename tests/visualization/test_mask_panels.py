import numpy as np
import pytest

from derain_plugin.visualization import draw_mask_panels, overlay_mask
from derain_plugin.visualization.mask_panels import GAP, HEADER, LEGEND_BAR, LEGEND_TEXT

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

"""A picture and the rain masks of all levels in one image."""

from collections.abc import Sequence

import cv2
import numpy as np

from derain_plugin.visualization.mask_overlay import mask_colours, overlay_mask

HEADER = 22  # px
GAP = 4  # px
LEGEND_BAR = 12  # px
LEGEND_TEXT = 28  # px
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.4


def draw_mask_panels(
    picture: np.ndarray, masks: Sequence[np.ndarray], *, strides: Sequence[int]
) -> np.ndarray:
    """Set a picture, each level's mask over it, and a legend of 0 to 1 side by side.

    Args:
        picture: ``(H, W, 3)`` uint8, RGB.
        masks: ``(h_i, w_i)`` float per level, 0-1, each of the whole picture.
        strides: Of the levels, px; in the titles, with the mean of the mask.

    Returns:
        uint8, RGB: ``1 + len(masks)`` panels as large as ``picture``, titles above them.

    Raises:
        ValueError: As :func:`overlay_mask`, or ``strides`` and ``masks`` differ in number.
    """
    if len(masks) != len(strides):
        raise ValueError(f"{len(masks)} masks need as many strides, got {tuple(strides)}")
    panels = [_titled(picture, "picture")]
    for mask, stride in zip(masks, strides, strict=True):
        title = f"stride {stride}: mean {mask.mean():.2f}"
        panels.append(_titled(overlay_mask(picture, mask), title))
    return np.hstack([*panels, _legend(len(picture))])


def _titled(panel: np.ndarray, title: str) -> np.ndarray:
    framed = _framed(panel)
    (width, _), _ = cv2.getTextSize(title, FONT, FONT_SCALE, 1)
    scale = FONT_SCALE * min(1, panel.shape[1] / width)  # not into the next panel
    _write(framed, title, x=2, y=HEADER - 7, scale=scale)
    return framed


def _legend(height: int) -> np.ndarray:
    values = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    bar = np.repeat(mask_colours(values), LEGEND_BAR, axis=1)
    text = np.full((height, LEGEND_TEXT, 3), 255, np.uint8)
    for value in (1.0, 0.5, 0.0):
        _write(text, f"{value:.1f}", x=3, y=round(10 + (1 - value) * (height - 12)))
    return _framed(np.hstack([bar, text]))


def _framed(panel: np.ndarray) -> np.ndarray:
    """Add white above for a title, and to the right."""
    return cv2.copyMakeBorder(panel, HEADER, 0, 0, GAP, cv2.BORDER_CONSTANT, value=[255] * 3)


def _write(canvas: np.ndarray, text: str, *, x: int, y: int, scale: float = FONT_SCALE) -> None:
    cv2.putText(canvas, text, (x, y), FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)

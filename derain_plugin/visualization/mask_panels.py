"""A rain mask as a heat map over its image."""

from collections.abc import Sequence

import cv2
import numpy as np

OPACITY = 0.5  # of the colours over the image
HEADER = 22  # px
GAP = 4  # px
LEGEND_BAR = 12  # px
LEGEND_TEXT = 28  # px
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.4


def overlay_mask(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay the colours of a mask, half transparent, over an image.

    The scale is absolute: 0 has the same colour in every image, and so has 1. mmengine's
    ``Visualizer.draw_featmap`` stretches each map to its own range, so that a mask of 0.01 to
    0.02 would look like one of 0 to 1.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        mask: ``(h, w)`` float, 0-1, of any size; every cell of it stays a visible rectangle.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        ValueError: ``image`` or ``mask`` is of another shape, type or range.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}: convert it"
        )
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"mask must be (h, w), got {mask.shape}: pass one image of one level")
    if not (mask.min() >= 0 and mask.max() <= 1):  # so that a NaN does not pass
        raise ValueError(
            f"a rain mask must be in 0-1, got {mask.min()} to {mask.max()}: "
            "pass what a de-rain neck's rain_masks returns"
        )
    size = image.shape[1::-1]
    colours = cv2.resize(mask_colours(mask), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return cv2.addWeighted(image, 1 - OPACITY, colours, OPACITY, 0)


def mask_colours(mask: np.ndarray) -> np.ndarray:
    """Return the RGB colours ``(h, w, 3)`` of values 0-1: viridis, dark blue to yellow."""
    levels = np.rint(255 * mask).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def draw_mask_panels(
    image: np.ndarray, masks: Sequence[np.ndarray], *, strides: Sequence[int]
) -> np.ndarray:
    """Set an image, each level's mask over it, and a legend of 0 to 1 side by side.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        masks: ``(h_i, w_i)`` float per level, 0-1, each of the whole image.
        strides: Of the levels, px; in the titles, with the mean of the mask.

    Returns:
        uint8, RGB: ``1 + len(masks)`` panels as large as ``image``, titles above them.

    Raises:
        ValueError: As :func:`overlay_mask`, or ``strides`` and ``masks`` differ in number.
    """
    if len(masks) != len(strides):
        raise ValueError(f"{len(masks)} masks need as many strides, got {tuple(strides)}")
    panels = [_titled(image, "image")]
    for mask, stride in zip(masks, strides, strict=True):
        title = f"stride {stride}: mean {mask.mean():.2f}"
        panels.append(_titled(overlay_mask(image, mask), title))
    return np.hstack([*panels, _legend(len(image))])


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

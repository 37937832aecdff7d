"""A rain mask as a heat map over its picture."""

import cv2
import numpy as np

OPACITY = 0.5  # of the colours over the picture


def overlay_mask(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay the colours of a mask, half transparent, over a picture.

    The scale is absolute: 0 has the same colour in every picture, and so has 1. mmengine's
    ``Visualizer.draw_featmap`` stretches each map to its own range, so that a mask of 0.01 to
    0.02 would look like one of 0 to 1.

    Args:
        picture: ``(H, W, 3)`` uint8, RGB.
        mask: ``(h, w)`` float, 0-1, of any size; every cell of it stays a visible rectangle.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        ValueError: ``picture`` or ``mask`` is of another shape, type or range.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"picture must be (H, W, 3) uint8, got {picture.shape} {picture.dtype}: convert it"
        )
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"mask must be (h, w), got {mask.shape}: pass one picture of one level")
    if not (mask.min() >= 0 and mask.max() <= 1):  # so that a NaN does not pass
        raise ValueError(
            f"a rain mask must be in 0-1, got {mask.min()} to {mask.max()}: "
            "pass what a de-rain neck's rain_masks returns"
        )
    size = picture.shape[1::-1]
    colours = cv2.resize(mask_colours(mask), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return cv2.addWeighted(picture, 1 - OPACITY, colours, OPACITY, 0)


def mask_colours(mask: np.ndarray) -> np.ndarray:
    """Return the RGB colours ``(h, w, 3)`` of values 0-1: viridis, dark blue to yellow."""
    levels = np.rint(255 * mask).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)

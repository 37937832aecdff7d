"""The same photographs at every severity, side by side, to be looked at by a person."""

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np

from derain_plugin.rain.components import DEFAULT_COMPONENTS, Components
from derain_plugin.rain.render import render_rain
from derain_plugin.rain.severity import SEVERITIES

_CAPTION_HEIGHT = 28  # px
_GAP = 4  # px


def contact_sheet(
    photos: Sequence[np.ndarray],
    *,
    height: int,
    seed: int = 0,
    components: Components = DEFAULT_COMPONENTS,
    lens_drops: bool = False,
) -> np.ndarray:
    """Render one row per photo, with severities 0 to 5 from left to right.

    Args:
        photos: Each ``(H, W, 3)`` uint8, BGR; cut to 4:3 around the middle.
        height: Of a tile, px.
        seed: Of the rain; photos have rain of their own.
        components: As in :func:`render_rain`.
        lens_drops: Whether the lens is wet in any case.

    Returns:
        ``(H, W, 3)`` uint8, BGR.

    Raises:
        ValueError: There are no photos, a component is unknown, or ``height`` is under 16 px.
    """
    if not photos:
        raise ValueError("a contact sheet needs at least one photo")
    if height < 16:
        raise ValueError(f"height must be at least 16 px, got {height}")
    width = round(height * 4 / 3)
    severities = range(max(SEVERITIES) + 1)
    rows = [[_caption(severity, width) for severity in severities]]
    render = partial(render_rain, components=components, lens_drops=lens_drops)
    for number, photo in enumerate(photos):
        tile = _fit(photo, width, height)
        rows.append([render(tile, k, seed=(seed, number)) for k in severities])
    return np.vstack([_joined(row) for row in rows])


def _fit(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    rows, columns = photo.shape[:2]
    scale = min(rows / height, columns / width)
    cut_height, cut_width = round(scale * height), round(scale * width)
    top, left = (rows - cut_height) // 2, (columns - cut_width) // 2
    piece = photo[top : top + cut_height, left : left + cut_width]
    return cv2.resize(piece, (width, height), interpolation=cv2.INTER_AREA)


def _caption(severity: int, width: int) -> np.ndarray:
    canvas = np.full((_CAPTION_HEIGHT, width, 3), 255, np.uint8)
    words = SEVERITIES[severity].words if severity else "clean"
    text = f"{severity}: {words}"
    cv2.putText(canvas, text, (4, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def _joined(tiles: Sequence[np.ndarray]) -> np.ndarray:
    return np.hstack(
        [
            cv2.copyMakeBorder(t, 0, _GAP, 0, _GAP, cv2.BORDER_CONSTANT, value=[255] * 3)
            for t in tiles
        ]
    )

"""Looks: the ways in which one glyph becomes an object of two tones."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from projects.study.glyphs import SIDE

_MARGIN = SIDE // 4  # around the glyph, for what a look adds to it


class Look(NamedTuple):
    """An object before it is placed, cut to its outline.

    Attributes:
        cover: ``(H, W)`` uint8, 255 where the object is.
        ink: ``(H, W)`` uint8, 255 in its second tone, 0 in its first.
    """

    cover: np.ndarray
    ink: np.ndarray


def draw_look(glyph: np.ndarray, style: str) -> Look:
    """Dress a glyph of ``(SIDE, SIDE)`` in one of ``STYLES``."""
    cover, ink = STYLES[style](np.pad(glyph, _MARGIN))
    x, y, width, height = cv2.boundingRect((cover > 127).astype(np.uint8))
    window = np.s_[y : y + height, x : x + width]
    return Look(cover[window], ink[window])


def _plain(glyph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return glyph, np.zeros_like(glyph)


def _bold(glyph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _grown(glyph, 17), np.zeros_like(glyph)


def _sticker(glyph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Print the glyph on a sheet that was cut out around it."""
    return _silhouette(_grown(glyph, 25)), glyph


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pixels, pixels)))


def _silhouette(mask: np.ndarray) -> np.ndarray:
    outlines, _ = cv2.findContours(
        (mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(np.zeros_like(mask), outlines, -1, 255, -1)


STYLES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "plain": _plain,
    "bold": _bold,
    "sticker": _sticker,
}
"""Every class is drawn in every one of them."""

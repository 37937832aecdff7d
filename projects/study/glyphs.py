"""The study's classes, pictographs of DejaVu Sans, which matplotlib ships, and their looks."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

GLYPHS = {
    "rook": "♖♜",
    "knight": "♘♞",
    "bishop": "♗♝",
    "telephone": "☎☏✆",
    "umbrella": "☂☔",
    "scissors": "✁✂✃✄",
    "aeroplane": "✈",
    "hand": "☚☛☜☞",
    "pencil": "✎✏✐",
    "star": "★☆✩✪✫✬✭✮✯",
    "note": "♩♪♫♬",
    "face": "☺☻😀😃😎😢",
}
"""The pictographs of each class. Rook, knight and bishop differ in little."""

CLASSES = tuple(GLYPHS)
"""Names of the classes; a label is an index into them."""

DISTRACTORS = "♔♕♙♚♛♟☃⚓⚙❄✿❀♥♡♠♣☀☁☘☠☢☮☯⚖⚗⚑⚐✉✚✖❖➔➤⬟⌘♻ABEGKRSW23568&?"
"""Pictographs and letters that belong to no class, some of them much like one that does."""

SIDE = 192
"""Of a glyph's longer side, px; at most as many as it is drawn with, so that it stays sharp."""


@cache
def draw_glyph(character: str) -> np.ndarray:
    """Return the coverage of one glyph: ``(SIDE, SIDE)`` uint8, centred, its own aspect kept."""
    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(str(file), 2 * SIDE, layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = font.getbbox(character)
    image = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), character, font=font, fill=255)
    image = image.crop(image.getbbox())
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    canvas = Image.new("L", (SIDE, SIDE))
    canvas.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return np.asarray(canvas)


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

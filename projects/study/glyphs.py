"""The study's classes: pictographs of DejaVu Sans, which matplotlib ships."""

from functools import cache
from pathlib import Path

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

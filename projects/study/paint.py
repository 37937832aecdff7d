"""Paint one object, or one piece of a photograph, into an image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from projects.study import difficulty as hard
from projects.study.glyphs import Look
from projects.study.toy.photos import random_crop

_DARK, _LIGHT = 8.0, 247.0  # tones keep off both ends of the grey scale


class Stamp(NamedTuple):
    """What is to be painted, at its size in the image, soft at its edges.

    Attributes:
        cover: ``(H, W)`` uint8; 255 hides what is behind.
        ink: ``(H, W)`` uint8, 255 in its second tone; None: a piece of a photograph.
        hue: Of its first tone, radians; None: any.
    """

    cover: np.ndarray
    ink: np.ndarray | None
    hue: float | None = None


def make_stamp(
    look: Look, side: float, rng: np.random.Generator, *, hue: float | None = None
) -> Stamp:
    """Turn, warp and scale a look so that its box has about ``side ** 2`` px."""
    height, width = look.cover.shape
    angle = np.deg2rad(rng.uniform(-hard.TILT, hard.TILT))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    moved = corners + rng.uniform(-hard.WARP, hard.WARP, (4, 2)) * (width, height)
    if rng.random() < 0.5:
        moved[:, 0] = width - moved[:, 0]
    moved = moved @ turn.T
    moved -= moved.min(0)
    warp = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    size = np.ceil(moved.max(0)).astype(int).tolist()
    cover, ink = (cv2.warpPerspective(layer, warp, size) for layer in look)
    x, y, width, height = cv2.boundingRect((cover > 127).astype(np.uint8))
    scale = side / np.sqrt(width * height)
    shape = max(4, round(width * scale)), max(4, round(height * scale))
    cut = np.s_[y : y + height, x : x + width]
    small = [cv2.resize(layer[cut], shape, interpolation=cv2.INTER_AREA) for layer in (cover, ink)]
    return Stamp(small[0], small[1], hue)


def photo_stamp(side: float, rng: np.random.Generator) -> Stamp:
    """Cut an irregular piece, for another photograph to show through."""
    aspect = np.exp(rng.uniform(-0.5, 0.5))
    size = np.array([max(8.0, side * aspect), max(8.0, side / aspect)])
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
    radii = rng.uniform(0.6, 1.0, len(angles))[:, None]
    points = (0.5 + 0.5 * radii * np.stack([np.cos(angles), np.sin(angles)], 1)) * size
    cover = np.zeros(np.ceil(size[::-1]).astype(int) + 1, np.uint8)
    cv2.fillPoly(cover, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    return Stamp(cover, None)


def fill_stamp(
    behind: np.ndarray,
    stamp: Stamp,
    cut: tuple,
    photos: tuple[np.ndarray, ...],
    rng: np.random.Generator,
) -> None:
    """Paint the ``cut`` of a stamp over ``behind``, ``(H, W, 3)`` uint8, in place."""
    rows, columns = behind.shape[:2]
    if stamp.ink is None:
        paint, opacity = random_crop(photos, columns, rows, rng).astype(float), 1.0
    else:
        paint, opacity = _two_tones(behind, stamp, cut, photos, rng), rng.uniform(*hard.OPACITY)
    cover = stamp.cover[cut][..., None] * (opacity / 255)
    behind[:] = np.rint(behind * (1 - cover) + paint * cover)


def _two_tones(
    behind: np.ndarray,
    stamp: Stamp,
    cut: tuple,
    photos: tuple[np.ndarray, ...],
    rng: np.random.Generator,
) -> np.ndarray:
    rows, columns = behind.shape[:2]
    first = _tone(behind.reshape(-1, 3).mean(0), hard.CONTRAST, rng, hue=stamp.hue)
    second = _tone(first, hard.INNER_CONTRAST, rng)
    ink = stamp.ink[cut][..., None] / 255 if stamp.ink is not None else 0.0
    grey = cv2.cvtColor(random_crop(photos, columns, rows, rng), cv2.COLOR_BGR2GRAY).astype(float)
    texture = (grey - grey.mean()) / max(grey.std(), 8.0)
    y, x = np.mgrid[0:rows, 0:columns] / max(rows, columns)
    turn = rng.uniform(0, 2 * np.pi)
    shade = np.cos(turn) * (x - x.mean()) + np.sin(turn) * (y - y.mean())
    pattern = rng.uniform(*hard.TEXTURE) * (0.5 * texture + shade)
    return (first * (1 - ink) + second * ink + pattern[..., None]).clip(0, 255)


def _tone(
    beside: np.ndarray,
    contrast: tuple[float, float],
    rng: np.random.Generator,
    *,
    hue: float | None = None,
) -> np.ndarray:
    """Draw a colour, BGR, at a contrast to another one: lighter or darker, and of a hue."""
    step = np.exp(rng.uniform(*np.log(contrast)))
    if rng.random() < 0.5:
        step = -step
    if not _DARK < beside.mean() + step < _LIGHT:
        step = -step
    angle = rng.uniform(0, 2 * np.pi) if hue is None else rng.normal(hue, hard.HUE_SPREAD)
    colour = hard.SATURATION * np.cos(angle - np.arange(3) * 2 * np.pi / 3)
    return (beside + step + abs(step) * colour).clip(0, 255)

"""The toy classes: outlines, each with a hue that most of its members have."""

from collections.abc import Callable

import cv2
import numpy as np

_SUBPIXEL_BITS = 4


def _circle(*, radius: float = 1.0, turns: int = 1) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi * turns, 40)
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _star() -> np.ndarray:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2, 0.42, 1.0)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 60)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y], 1) / 16


def _polygon(*corners: tuple[float, float]) -> Callable[[], np.ndarray]:
    return lambda: np.array(corners)


_OUTLINES: dict[str, Callable[[], np.ndarray]] = {
    "disc": _circle,
    "ring": lambda: np.concatenate([_circle(), _circle(radius=0.55, turns=-1)]),
    "square": _polygon((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "triangle": _polygon((0, -1), (0.95, 0.8), (-0.95, 0.8)),
    "star": _star,
    "cross": _polygon(
        (-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3),
        (0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3),
    ),
    "arrow": _polygon(
        (0, -1), (0.9, 0), (0.35, 0), (0.35, 1), (-0.35, 1), (-0.35, 0), (-0.9, 0)
    ),
    "heart": _heart,
}  # fmt: skip

CLASSES = tuple(_OUTLINES)
"""Names of the classes; a label is an index into them."""


def shape_mask(label: int, *, width: float, height: float, degrees: float) -> np.ndarray:
    """Draw one shape.

    Args:
        label: Index into ``CLASSES``.
        width: Of the upright shape, px.
        height: Of the upright shape, px.
        degrees: Clockwise rotation.

    Returns:
        Coverage ``(H, W)`` uint8, 0-255, just large enough for the rotated shape.
    """
    points = _OUTLINES[CLASSES[label]]() * (width / 2, height / 2)
    turn = np.deg2rad(degrees)
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points -= points.min(0) - 1
    columns, rows = np.ceil(points.max(0)).astype(int) + 1
    mask = np.zeros((rows, columns), np.uint8)
    fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    return mask

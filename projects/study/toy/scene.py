"""Compose one image: a piece of a photograph, clutter, and shapes that hide each other."""

from dataclasses import dataclass

import cv2
import numpy as np

from projects.study.toy.photos import load_split, random_crop
from projects.study.toy.shapes import CLASSES, shape_mask

SIZES = ((192, 144), (168, 168), (144, 192))
"""Width and height of the images, px."""

_SPLITS = ("train", "val", "test")
_MIN_VISIBLE = 0.6  # what is hidden further would be unlabelled, or unfair
_MIN_CONTRAST = 35  # mean colour distance of a shape to what it covers, grey levels
_OPACITY = (0.6, 1.0)
_TYPICAL = 0.9  # share of shapes in the hue of their class


@dataclass(frozen=True)
class Scene:
    """One image and what is to be found in it.

    Attributes:
        image: ``(H, W, 3)`` uint8, BGR.
        labels: ``(N,)`` int, indices into ``CLASSES``.
        boxes: ``(N, 4)`` int, x, y, width, height in px, around the visible part.
        areas: ``(N,)`` int, visible px.
        notes: Further fields for the annotation of each object, or nothing.
    """

    image: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    notes: tuple[dict, ...] = ()


def render_scene(split: str, index: int, *, seed: int = 0) -> Scene:
    """Return image ``index`` of a split; the same arguments give the same image."""
    rng = np.random.default_rng((seed, _SPLITS.index(split), index))
    photos = load_split(split)
    width, height = SIZES[rng.integers(len(SIZES))]
    image = _weathered(random_crop(photos, width, height, rng), rng)
    _add_clutter(image, rng)
    owner = np.full((height, width), -1, np.int16)  # which shape each pixel shows
    drawn: list[tuple[int, int]] = []  # label, full area
    for _ in range(rng.integers(3, 9)):
        _add_shape(image, owner, drawn, photos, rng)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.8))
    boxes = np.array([cv2.boundingRect((owner == i).astype(np.uint8)) for i in range(len(drawn))])
    areas = np.bincount(owner[owner >= 0], minlength=len(drawn))
    return Scene(image, np.array([label for label, _ in drawn]), boxes, areas)


def _weathered(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary exposure and tint, so that a few photographs look like many."""
    tint = rng.uniform(0.85, 1.1, 3)
    levels = 255 * (np.arange(256) / 255)[:, None] ** rng.uniform(0.85, 1.2) * tint
    return cv2.LUT(photo, levels.clip(0, 255).astype(np.uint8)[None])


def _add_clutter(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draw lines, arcs and dots that belong to no class."""
    height, width = image.shape[:2]
    for _ in range(rng.integers(3, 10)):
        colour = rng.integers(0, 256, 3).tolist()
        start, end = (rng.integers((width, height)).tolist() for _ in range(2))
        thickness = int(rng.integers(1, 4))
        if rng.random() < 0.5:
            cv2.line(image, start, end, colour, thickness, cv2.LINE_AA)
        else:
            axes = rng.integers(4, 40, 2).tolist()
            turn, sweep = rng.uniform(0, 360), rng.uniform(40, 150)
            cv2.ellipse(image, start, axes, turn, 0, sweep, colour, thickness, cv2.LINE_AA)


def _add_shape(
    image: np.ndarray,
    owner: np.ndarray,
    drawn: list[tuple[int, int]],
    photos: tuple[np.ndarray, ...],
    rng: np.random.Generator,
) -> None:
    """Draw one shape where it leaves enough of the others visible; give up after some tries."""
    label = int(rng.integers(len(CLASSES)))
    for _ in range(8):
        side = np.exp(rng.uniform(np.log(16), np.log(52)))
        aspect = np.exp(rng.uniform(-0.25, 0.25))
        mask = shape_mask(
            label, width=side * aspect, height=side / aspect, degrees=rng.uniform(-30, 30)
        )
        rows, columns = mask.shape
        top, left = rng.integers(owner.shape[0] - rows), rng.integers(owner.shape[1] - columns)
        window = np.s_[top : top + rows, left : left + columns]
        if _hides_too_much(owner, window, mask, drawn):
            continue
        fill = _fill(label, rows, columns, image[window], photos, rng)
        opacity = mask[..., None] * (rng.uniform(*_OPACITY) / 255)
        image[window] = np.rint(image[window] * (1 - opacity) + fill * opacity)
        owner[window][mask > 127] = len(drawn)
        drawn.append((label, int((mask > 127).sum())))
        return


def _hides_too_much(
    owner: np.ndarray, window: tuple, mask: np.ndarray, drawn: list[tuple[int, int]]
) -> bool:
    covered = owner[window][mask > 127]
    hidden = np.bincount(covered[covered >= 0], minlength=len(drawn))
    visible = np.bincount(owner[owner >= 0], minlength=len(drawn)) - hidden
    return any(visible < [_MIN_VISIBLE * area for _, area in drawn])


def _fill(
    label: int,
    rows: int,
    columns: int,
    behind: np.ndarray,
    photos: tuple[np.ndarray, ...],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return a texture ``(rows, columns, 3)`` that stands out from what is behind it."""
    kind = rng.integers(4)
    y, x = np.mgrid[0:rows, 0:columns]
    turn = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    if kind == 0:
        pattern = np.zeros((rows, columns))
    elif kind == 1:
        pattern = along / max(np.ptp(along), 1)
    elif kind == 2:
        pattern = np.sin(along * 2 * np.pi / rng.uniform(6, 20))
    else:
        grey = cv2.cvtColor(random_crop(photos, columns, rows, rng), cv2.COLOR_BGR2GRAY)
        pattern = grey / 128.0 - 1
    mean = behind.reshape(-1, 3).mean(0)
    colour = _colour(label, rng)
    while np.abs(colour - mean).mean() < _MIN_CONTRAST:
        colour = _colour(label, rng)
    amplitude = rng.uniform(10, 45)
    return (colour + amplitude * pattern[..., None]).clip(0, 255)


def _colour(label: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a colour, BGR 0-255: mostly near the hue of the class, as bananas are mostly yellow."""
    typical = 180 * label / len(CLASSES) + rng.normal(0, 7)
    hue = typical % 180 if rng.random() < _TYPICAL else rng.uniform(0, 180)
    hsv = np.array([[[hue, rng.uniform(150, 255), rng.uniform(120, 255)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)

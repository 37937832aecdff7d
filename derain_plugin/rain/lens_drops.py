"""Drops on the lens: small, blurred lenses of water that turn the scene upside down."""

from typing import NamedTuple

import cv2
import numpy as np

from derain_plugin.rain.seeding import Seed, random_stream
from derain_plugin.rain.severity import Severity
from derain_plugin.rain.streaks import MAX_ASPECT

# Lengths are in units of the image height, as in the severity table.
_RADII = (0.01, 0.08)  # most drops are small
_STRETCH = 0.35  # how much longer than wide a drop hangs at most
_VIEW = 4.0  # a drop shows a part of the scene this many times its own size
_RIM = 0.3  # share of the light that total reflection takes at the rim
_EDGE = 0.5  # of the radius: a lens that is focused on the scene blurs the drop's edge


class _Drop(NamedTuple):
    center: np.ndarray  # (2,), x and y in pixels
    radii: np.ndarray  # (2,), x and y in pixels


def add_lens_drops(image: np.ndarray, severity: Severity, *, seed: Seed) -> None:
    """Draw drops on ``image``, in place.

    Each is an out-of-focus disc that refracts light from around it: inverted, minified, darker
    towards the rim; a thin lens, where Roser and Geiger ("Video-based raindrop detection for
    improved image registration", ICCV Workshops 2009) trace rays through the drop. With the
    same seed, the drops of a milder severity are among those of a worse one.

    Args:
        image: ``(H, W, 3)`` uint8.
        severity: Its ``lens_drops`` is the number of drops in a square as high as the image
            (of a quarter of the width in panoramas wider than 4:1).
        seed: As in :func:`render_rain`.
    """
    height, width = image.shape[:2]
    scene = _minify(image)
    for drop in _scatter(height, width, severity, seed=seed):
        _draw(image, scene, drop)


def _minify(image: np.ndarray) -> np.ndarray:
    """Return the scene at the resolution that a drop shows it in."""
    height, width = image.shape[:2]
    size = max(1, round(width / _VIEW)), max(1, round(height / _VIEW))
    return cv2.blur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (5, 5))


def _scatter(height: int, width: int, severity: Severity, *, seed: Seed) -> list[_Drop]:
    unit = max(height, width / MAX_ASPECT)
    count = round(severity.lens_drops * height * width / unit**2)
    # Filled row by row, so that more drops leave the first ones unchanged.
    x, y, size, stretch = random_stream(seed, "lens drops").random((count, 4)).T
    smallest, largest = _RADII
    radius = unit * (smallest + (largest - smallest) * size**3)
    centers = np.stack([x * width, y * height], axis=1)
    radii = np.stack([radius, radius * (1 + _STRETCH * stretch)], axis=1).clip(1)
    return [_Drop(*drop) for drop in zip(centers, radii, strict=True)]


def _draw(image: np.ndarray, scene: np.ndarray, drop: _Drop) -> None:
    height, width = image.shape[:2]
    reach = drop.radii * (1 + _EDGE)
    left, top = np.maximum(0, np.floor(drop.center - reach)).astype(int)
    right, bottom = np.minimum((width, height), np.ceil(drop.center + reach) + 1).astype(int)
    x = (np.arange(left, right, dtype=np.float32) - drop.center[0])[None]
    y = (np.arange(top, bottom, dtype=np.float32) - drop.center[1])[:, None]
    distance = np.sqrt((x / drop.radii[0]) ** 2 + (y / drop.radii[1]) ** 2)
    cover = np.clip((1 + _EDGE - distance) / (2 * _EDGE), 0, 1)
    light = 1 - _RIM * np.minimum(distance, 1) ** 4
    seen = cv2.remap(scene, *_inverted(x, y, drop, scene, image), cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REFLECT_101)  # fmt: skip
    patch = image[top:bottom, left:right]
    cover, light = cover[..., None], light[..., None]
    patch[:] = np.rint(patch * (1 - cover) + seen * (light * cover))


def _inverted(
    x: np.ndarray, y: np.ndarray, drop: _Drop, scene: np.ndarray, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where in ``scene`` each pixel of the drop looks, x and y."""
    looks = np.broadcast_arrays(
        *(
            (center - _VIEW * offset) * small / large
            for center, offset, small, large in zip(
                drop.center, (x, y), scene.shape[1::-1], image.shape[1::-1], strict=True
            )
        )
    )
    return looks[0].astype(np.float32), looks[1].astype(np.float32)

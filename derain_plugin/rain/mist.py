"""Mist: haze that grows with distance, and the spray that vehicles throw up."""

import cv2
import numpy as np

from derain_plugin.rain.seeding import Seed, random_stream

_HILLS = (5, 7)  # of a smooth field, down and across
_NEAR = 0.3  # how far a camera on a vehicle sees the ground at its feet, the horizon being 1
_RISE = 0.1  # houses and trees: how much nearer than the horizon the top of the image is
_ROUGHNESS = 0.4  # how much nearer than flat ground things are at most
_CLOUDS = 9


def distances(height: int, width: int, *, horizon: float, seed: Seed) -> np.ndarray:
    """Guess the distances of a scene on flat ground, under a road camera.

    They follow the vertical position, a smooth random field stands for whatever is on the ground.

    Returns:
        ``(height, width)`` float32, above 0 (near) to 1 (far).
    """
    y = _positions(height)
    ground = _NEAR / (_NEAR + np.maximum(0, y - horizon) / (1 - horizon))
    rise = 1 - _RISE * np.maximum(0, horizon - y) / horizon
    field = smooth_field(height, width, random_stream(seed, "distance"))
    return (ground * rise)[:, None] * (1 - _ROUGHNESS * field)


def spray(height: int, width: int, *, horizon: float, seed: Seed) -> np.ndarray:
    """Draw clouds of mist on the ground: smaller and denser towards the horizon.

    Returns:
        ``(height, width)`` float32, the optical depth of the mist relative to the densest cloud's.
    """
    stream = random_stream(seed, "spray")
    x, near, size, density = stream.random((_CLOUDS, 4), dtype=np.float32).T[..., None]
    near = 0.03 + 0.5 * near**2
    radius = (0.4 + size) * (0.08 + 0.3 * near)
    middle = horizon + (1 - horizon) * near
    down = np.exp(-(((_positions(height) - middle) / radius) ** 2))
    across = np.exp(-(((_positions(width) - x) / (1.5 * radius)) ** 2))
    clouds = np.einsum("ch,cw->hw", (0.3 + 0.7 * density) * down, across)
    return clouds * (0.5 + 0.5 * smooth_field(height, width, stream))


def smooth_field(height: int, width: int, stream: np.random.Generator) -> np.ndarray:
    """Draw soft hills: ``(height, width)`` float32 in 0-1, the same at any resolution."""
    hills = stream.random(_HILLS, dtype=np.float32)
    return cv2.resize(hills, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def opacity(depth: np.ndarray) -> np.ndarray:
    """Return the opacity, 0-1, of mist of an optical depth (the law of Beer and Lambert)."""
    return 1 - np.exp(-depth)


def airlight(mean: float) -> float:
    """Return the grey, 0-1, of mist over a scene of this mean light.

    Drops scatter light of the whole surroundings, so a night scene must not get the white rain
    of a bright day.
    """
    return min(0.9, 0.35 + 0.9 * mean)


def _positions(length: int) -> np.ndarray:
    return (np.arange(length, dtype=np.float32) + 0.5) / length

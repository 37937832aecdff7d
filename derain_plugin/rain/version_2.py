"""Rain as version 2 of the renderer drew it, to compare with: streaks under an even veil."""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from derain_plugin.rain.render import NORMAL, as_bytes, check_image, mean_light
from derain_plugin.rain.seeding import Seed, random_stream
from derain_plugin.rain.severity import SEVERITIES, check_severity
from derain_plugin.rain.streaks import streak_mask

_VERSION = 2


class _Row(NamedTuple):
    """What one severity was; the names are those of :class:`Severity`, where they are there."""

    density: float
    length: float
    opacity: float
    num_layers: int
    noise: float
    transmission: float  # of the haze, 0-1
    contrast: float  # factor on the scene's deviation from its mean
    brightness: float  # factor on the scene's light


_TABLE = {
    1: _Row(180, 0.072, 0.54, 3, 1.0, transmission=0.92, contrast=0.94, brightness=0.95),
    2: _Row(340, 0.088, 0.61, 3, 2.0, transmission=0.79, contrast=0.88, brightness=0.90),
    3: _Row(530, 0.105, 0.69, 3, 3.4, transmission=0.64, contrast=0.82, brightness=0.84),
    4: _Row(670, 0.117, 0.71, 4, 4.2, transmission=0.55, contrast=0.79, brightness=0.81),
    5: _Row(820, 0.130, 0.74, 4, 5.0, transmission=0.46, contrast=0.76, brightness=0.78),
}


def render_rain(image: np.ndarray, severity: int, *, seed: Seed) -> np.ndarray:
    """Return the pixels that ``render_rain`` of version 2 did, without drops on the lens.

    Arguments and errors are those of :func:`derain_plugin.rain.render_rain`.
    """
    check_image(image)
    check_severity(severity)
    noise = random_stream(seed, "noise", version=_VERSION)
    if severity == 0:
        return image.copy()
    height, width = image.shape[:2]
    row, mean = _TABLE[severity], mean_light(image)
    streak_like = replace(
        SEVERITIES[severity], density=row.density, length=row.length, opacity=row.opacity,
        num_layers=row.num_layers, width=0.0029, blur=0.0012, angle=0.0, angle_spread=15.0,
    )  # fmt: skip
    airlight = 0.45 + 0.45 * mean
    scene = row.brightness * (mean + row.contrast * (np.arange(256) / 255 - mean))
    veiled = scene * row.transmission + airlight * (1 - row.transmission)
    # On the negative, where the screen blend 1 - (1 - I)(1 - M) is a plain product.
    negative = cv2.LUT(image, as_bytes(255 * (1 - veiled)))
    streaks = streak_mask(height, width, streak_like, seed=seed, version=_VERSION, max_unit=480)
    unlit = cv2.LUT(streaks, as_bytes(255 - min(1.0, 1.15 * airlight) * np.arange(256)))
    negative = cv2.multiply(negative, cv2.merge([unlit] * 3), scale=1 / 255)
    grain = np.frombuffer(noise.bytes(image.size), np.uint8).reshape(image.shape)
    grain = cv2.LUT(grain, as_bytes(128 + row.noise * NORMAL))
    return cv2.addWeighted(grain, 1, cv2.bitwise_not(negative), 1, -128)

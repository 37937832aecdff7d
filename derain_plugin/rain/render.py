"""Render rain on a photograph: its components, and what they do to the pixels."""

import math
from functools import cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np

from derain_plugin.rain.components import DEFAULT_COMPONENTS, Components, draw_components
from derain_plugin.rain.film import Film
from derain_plugin.rain.lens_drops import add_lens_drops
from derain_plugin.rain.look import Look, draw_look
from derain_plugin.rain.mist import airlight, distances, opacity, spray
from derain_plugin.rain.seeding import Seed, random_stream
from derain_plugin.rain.severity import SEVERITIES, Severity, check_severity
from derain_plugin.rain.streaks import MAX_ASPECT, streak_mask
from derain_plugin.rain.wet_ground import wet_the_ground

_STREAK_GLARE = 1.15  # a streak lenses more of the sky than the haze around it
_SPRAY_GLARE = 1.08
_DEPTH_UNIT = 240  # px of the height up to which mist follows the edges of a depth map
_GRAIN_ZERO = 16
_MAX_SOFTNESS = 1.6  # px; a wider blur is drawn at a lower resolution
# px; a narrower blur changes no byte: the weights of a pixel's neighbors add up to 0.0014.
_LEAST_SOFTNESS = 0.25
_BAND = 2**18  # bytes of the rows that are worked on at a time: they stay in a processor's cache
NORMAL = np.array([NormalDist().inv_cdf((byte + 0.5) / 256) for byte in range(256)])
"""The normal distribution as a table over random bytes."""


def render_rain(
    image: np.ndarray,
    severity: int,
    *,
    seed: Seed,
    components: Components = DEFAULT_COMPONENTS,
    depth: np.ndarray | None = None,
    lens_drops: bool = False,
) -> np.ndarray:
    """Return ``image`` in rain; the same arguments give the same pixels in any process.

    Rain is grey, so the order of the color channels does not matter. The severities of an image
    share their components, streaks, clouds and puddles, which only get stronger.

    Args:
        image: ``(H, W, 3)`` uint8; it is not modified.
        severity: 0 (a plain copy) to 5; see ``SEVERITIES``.
        seed: One non-negative integer or several, such as ``image_seed`` returns.
        components: What the rain is made of, of ``COMPONENTS``: names, or shares of the images by
            name, see :func:`component_shares`.
        depth: ``(H, W)``, how far the scene is at each pixel, in any unit; the veil follows it. A
            guess from the position in the image, where it is None.
        lens_drops: Whether the lens is wet in any case, as by the component ``lens_drops`` with
            the share 1; everything else stays the same.

    Returns:
        A new ``(H, W, 3)`` uint8 array.

    Raises:
        TypeError: If ``image`` is not a uint8 array or ``seed`` not made of integers.
        ValueError: If ``image`` is not ``(H, W, 3)``, ``severity`` not 0 to 5, ``seed`` negative,
            a component unknown, or ``depth`` of another size, negative or not finite.

    Example:
        >>> photo = np.full((48, 64, 3), 90, np.uint8)
        >>> render_rain(photo, 3, seed=0).shape
        (48, 64, 3)
        >>> render_rain(photo, 3, seed=0, components="streaks=0.5,veil").shape
        (48, 64, 3)
    """
    return render_rain_with_streaks(
        image, severity, seed=seed, components=components, depth=depth, lens_drops=lens_drops
    )[0]


def render_rain_with_streaks(
    image: np.ndarray,
    severity: int,
    *,
    seed: Seed,
    components: Components = DEFAULT_COMPONENTS,
    depth: np.ndarray | None = None,
    lens_drops: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what :func:`render_rain` returns, and the opacity of the streaks painted on it.

    The opacity, ``(H, W)`` uint8, is 0 where no streak is and 255 in an opaque one; all other
    components and noise are not in it. Arguments and errors are those of :func:`render_rain`.
    """
    check_image(image)
    check_severity(severity)
    if depth is not None:
        _check_depth(depth, image)
    drawn = draw_components(components, seed=seed, lens_drops=lens_drops)
    height, width = image.shape[:2]
    if severity == 0:
        return image.copy(), np.zeros((height, width), np.uint8)
    parameters, look = SEVERITIES[severity], draw_look(seed)
    air = min(1.0, airlight(mean_light(image)) * look.airlight)
    film = Film(height, width) if depth is None else Film(height, width, max_unit=_DEPTH_UNIT)
    if "wet_ground" in drawn:
        gloss = min(1.0, parameters.gloss * look.gloss)
        wet_the_ground(film, image, horizon=look.horizon, gloss=gloss, seed=seed)
    if "soft_focus" in drawn:
        unit = max(height, width / MAX_ASPECT)
        image = _soften(image, parameters.softness * look.softness * unit)
    _lay_mist(film, parameters, look, drawn, air=air, depth=depth, seed=seed)
    if "streaks" in drawn:
        streaks = streak_mask(height, width, parameters, seed=seed)
    else:
        streaks = np.zeros((height, width), np.uint8)
    grain = _grain(height, width, deviation=parameters.noise, seed=seed)
    rainy = _expose(image, film, streaks, glare=min(1.0, _STREAK_GLARE * air), grain=grain)
    if "lens_drops" in drawn:
        add_lens_drops(rainy, parameters, seed=seed)
    return rainy, streaks


def _lay_mist(
    film: Film,
    severity: Severity,
    look: Look,
    drawn: set[str],
    *,
    air: float,
    depth: np.ndarray | None,
    seed: Seed,
) -> None:
    size = film.height, film.width
    if "veil" in drawn:
        if depth is None:
            far = distances(*size, horizon=look.horizon, seed=seed)
        else:
            far = cv2.resize(depth.astype(np.float32), size[::-1])
            far /= max(far.max(), np.finfo(np.float32).tiny)
        film.lay(opacity(severity.veil * look.veil * far), air)
    if "spray" in drawn:
        clouds = spray(*size, horizon=look.horizon, seed=seed)
        film.lay(opacity(severity.spray * look.spray * clouds), min(1.0, _SPRAY_GLARE * air))


def _expose(
    image: np.ndarray, film: Film, streaks: np.ndarray, *, glare: float, grain: np.ndarray
) -> np.ndarray:
    """Return the image behind the film, the streaks in front of both as a screen, and grain."""
    size = image.shape[1::-1]
    passes = cv2.resize(as_bytes(255 * film.passes), size)
    if streaks.any():
        lit = cv2.LUT(streaks, as_bytes(glare * np.arange(256)))
        spare = cv2.bitwise_not(lit)
        cv2.multiply(passes, spare, passes, scale=1 / 255)
        # They hide as much of the film's light, but as a grey, which costs a third.
        grey = (film.light[0] + film.light[1] + film.light[2]) / 3
        dark = cv2.resize(as_bytes(255 * (1 - grey)), size, spare)
        cv2.multiply(lit, dark, lit, scale=1 / 255)
        cv2.add(grain, lit, grain)
    rainy = cv2.resize(cv2.merge([*as_bytes(255 * film.light)]), size)
    _add_scene(rainy, image, passes, grain)
    return rainy


def _add_scene(rainy: np.ndarray, image: np.ndarray, passes: np.ndarray, grain: np.ndarray) -> None:
    """Add to the light in ``rainy`` the share of the image's that passes, and grain, in place."""
    step = max(1, _BAND // rainy[0].nbytes)
    spare = np.empty_like(rainy[:step])
    for top in range(0, len(rainy), step):
        rows, band = slice(top, top + step), spare[: len(rainy) - top]
        out = rainy[rows]
        cv2.cvtColor(passes[rows], cv2.COLOR_GRAY2BGR, band)
        cv2.multiply(image[rows], band, band, scale=1 / 255)
        cv2.add(out, band, out)
        cv2.cvtColor(grain[rows], cv2.COLOR_GRAY2BGR, band)
        cv2.addWeighted(out, 1, band, 1, -_GRAIN_ZERO, out)


def _grain(height: int, width: int, *, deviation: float, seed: Seed) -> np.ndarray:
    """Draw Gaussian sensor noise of this standard deviation around ``_GRAIN_ZERO``."""
    # A table of the normal distribution over random bytes: NumPy's own costs ten times more.
    # It is grey, as cameras smooth the noise of colors.
    pixels = height * width
    draws: Any = random_stream(seed, "noise").bit_generator.random_raw(-(-pixels // 8))
    grain = draws.astype("<u8", copy=False).view(np.uint8)[:pixels].reshape(height, width)
    return cv2.LUT(grain, _grain_levels(deviation), grain)


@cache
def _grain_levels(deviation: float) -> np.ndarray:
    return as_bytes(_GRAIN_ZERO + deviation * NORMAL)


def _soften(image: np.ndarray, deviation: float) -> np.ndarray:
    """Blur with this standard deviation in pixels."""
    if deviation < _LEAST_SOFTNESS:
        return image
    if deviation > _MAX_SOFTNESS:
        height, width = image.shape[:2]
        step = math.ceil(deviation / _MAX_SOFTNESS)
        size = max(1, width // step), max(1, height // step)
        small = _soften(cv2.resize(image, size, interpolation=cv2.INTER_AREA), deviation / step)
        return cv2.resize(small, (width, height))
    reach = 2 * math.ceil(1.5 * deviation) + 1
    return cv2.GaussianBlur(image, (reach, reach), deviation)


def mean_light(image: np.ndarray) -> float:
    """Return the mean of a uint8 ``(H, W, 3)`` image over pixels and channels, 0-1."""
    # As one channel, which OpenCV adds up ten times as fast.
    return cv2.sumElems(image.reshape(len(image), -1))[0] / (255 * image.size)


def check_image(image: np.ndarray) -> None:
    """Raise unless ``image`` is ``(H, W, 3)`` uint8 and holds a pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image must be a uint8 array with values 0-255, got {found}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"image must have shape (height, width, 3), got {image.shape}; "
            "convert grey or alpha images to three channels first"
        )


def _check_depth(depth: np.ndarray, image: np.ndarray) -> None:
    if np.shape(depth) != image.shape[:2]:
        raise ValueError(
            f"depth must have the image's height and width {image.shape[:2]}, got {np.shape(depth)}"
        )
    if not (np.isfinite(depth).all() and np.min(depth) >= 0):
        raise ValueError(
            "depth must be finite and not negative, 0 at the camera; set the sky to the farthest "
            "distance"
        )


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Round to uint8; what is outside 0-255 gets the nearer end."""
    return np.rint(values).clip(0, 255).astype(np.uint8)

"""Render rain on a photograph: veil, streaks, drops on the lens if asked for, sensor noise."""

from statistics import NormalDist

import cv2
import numpy as np

from derain_plugin.rain.lens_drops import add_lens_drops
from derain_plugin.rain.seeding import Seed, random_stream
from derain_plugin.rain.severity import SEVERITIES, Severity, check_severity
from derain_plugin.rain.streaks import streak_mask

_STREAK_GLARE = 1.15  # a streak lenses more of the sky than the haze around it
_NORMAL = np.array([NormalDist().inv_cdf((byte + 0.5) / 256) for byte in range(256)])


def render_rain(
    image: np.ndarray, severity: int, *, seed: Seed, lens_drops: bool = False
) -> np.ndarray:
    """Return ``image`` in rain; the same arguments give the same pixels in any process.

    Rain is grey, so the order of the color channels does not matter. The severities share
    their streaks (see :func:`streak_mask`).

    Args:
        image: ``(H, W, 3)`` uint8; it is not modified.
        severity: 0 (a plain copy) to 5; see ``SEVERITIES``.
        seed: One non-negative integer or several, such as ``image_seed`` returns.
        lens_drops: Whether the lens is wet, too; everything else stays the same.

    Returns:
        A new ``(H, W, 3)`` uint8 array.

    Raises:
        TypeError: If ``image`` is not a uint8 array or ``seed`` not made of integers.
        ValueError: If ``image`` is not ``(H, W, 3)``, ``severity`` not 0 to 5, or ``seed``
            negative.

    Example:
        >>> photo = np.full((48, 64, 3), 90, np.uint8)
        >>> render_rain(photo, 3, seed=0).shape
        (48, 64, 3)
    """
    return render_rain_with_streaks(image, severity, seed=seed, lens_drops=lens_drops)[0]


def render_rain_with_streaks(
    image: np.ndarray, severity: int, *, seed: Seed, lens_drops: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return what :func:`render_rain` returns, and the opacity of the streaks painted on it.

    The opacity, ``(H, W)`` uint8, is 0 where no streak is and 255 in an opaque one; veil, noise
    and drops on the lens are not in it. Arguments and errors are those of :func:`render_rain`.
    """
    _check_image(image)
    check_severity(severity)
    noise = random_stream(seed, "noise")
    height, width = image.shape[:2]
    if severity == 0:
        return image.copy(), np.zeros((height, width), np.uint8)
    parameters = SEVERITIES[severity]
    mean = mean_light(image)
    # All further steps work on the negative, where the screen blend
    # 1 - (1 - I)(1 - M) is a plain product.
    negative = cv2.LUT(image, _bytes(255 * (1 - veil_table(parameters, mean=mean))))
    streaks = streak_mask(height, width, parameters, seed=seed)
    glare = min(1.0, _STREAK_GLARE * airlight(mean))
    unlit = cv2.LUT(streaks, _bytes(255 - glare * np.arange(256)))
    negative = cv2.multiply(negative, cv2.merge([unlit] * 3), scale=1 / 255)
    exposure = cv2.bitwise_not(negative)
    if lens_drops:
        add_lens_drops(exposure, parameters, seed=seed)
    return _add_noise(exposure, noise=noise, deviation=parameters.noise), streaks


def mean_light(image: np.ndarray) -> float:
    """Return the mean of a uint8 ``(H, W, 3)`` image over pixels and channels, 0-1."""
    # As one channel, which OpenCV adds up ten times as fast.
    return cv2.sumElems(image.reshape(len(image), -1))[0] / (255 * image.size)


def airlight(mean: float) -> float:
    """Return the grey, 0-1, of an overcast sky over a scene of this mean light.

    Drops and haze scatter light of the whole surroundings, so a night scene must not get
    the white rain of a bright day.
    """
    return 0.45 + 0.45 * mean


def veil_table(severity: Severity, *, mean: float) -> np.ndarray:
    """Tabulate ``I * t + A * (1 - t)`` over the 256 grey levels, ``I`` already dimmed.

    Atmospheric scattering with airlight ``A`` and transmission ``t`` (Koschmieder's law, as
    in Narasimhan and Nayar, "Vision and the Atmosphere", IJCV 2002, eq. 9), after the loss
    of contrast around ``mean`` and of brightness.

    Returns:
        ``(256,)`` float64 in 0-1, increasing.
    """
    level = np.arange(256) / 255
    scene = severity.brightness * (mean + severity.contrast * (level - mean))
    return scene * severity.transmission + airlight(mean) * (1 - severity.transmission)


def _check_image(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image must be a uint8 array with values 0-255, got {found}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"image must have shape (height, width, 3), got {image.shape}; "
            "convert grey or alpha images to three channels first"
        )


def _add_noise(image: np.ndarray, *, noise: np.random.Generator, deviation: float) -> np.ndarray:
    """Return ``image`` with Gaussian noise of this standard deviation."""
    # A table of the normal distribution over random bytes: NumPy's own costs ten times more.
    grain = np.frombuffer(noise.bytes(image.size), np.uint8).reshape(image.shape)
    grain = cv2.LUT(grain, _bytes(128 + deviation * _NORMAL))
    return cv2.addWeighted(grain, 1, image, 1, -128)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)

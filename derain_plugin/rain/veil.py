"""Veil: what rain does to the light of a scene, apart from its visible streaks."""

import cv2
import numpy as np

from derain_plugin.rain.severity import Severity


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

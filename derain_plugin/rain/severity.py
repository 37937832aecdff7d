"""The five rain severities: one table of documented parameters, and which one an image gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType

from derain_plugin.rain.seeding import Seed, random_stream


@dataclass(frozen=True, slots=True)
class Severity:
    """What one severity looks like, at any resolution.

    Lengths are fractions of the image height (of a quarter of the width in panoramas wider
    than 4:1), so a photo and its thumbnail get the same rain. What has a default is the same
    for every severity: streaks that keep their place, direction, width and sharpness make the
    severities nested. ``veil``, ``spray``, ``gloss`` and ``softness`` are those of a median
    image; each image has factors of its own on them, see ``rain.look.draw_look``.

    Attributes:
        words: The level for people, nominal.
        density: Streaks of the middle distance per megapixel of an image 1000 px high; smaller
            images hold the same ones, smaller. Other distances have a fixed multiple of it.
        length: Mean streak length in the middle distance; grows with the drops' speed.
        opacity: Opacity of the brightest streaks in the middle distance, 0-1.
        num_layers: How many distances hold visible streaks, 1-4.
        veil: Optical depth of the haze of drops too far to be seen as streaks, from the camera
            to the farthest distance.
        spray: Optical depth of the densest mist that vehicles throw up.
        gloss: Share of the light that wet ground mirrors at the horizon, 0-1; less near the
            camera.
        softness: Standard deviation of the blur of the whole scene.
        noise: Standard deviation of the sensor noise in grey levels of 0-255: cameras raise
            their gain under a dark sky.
        lens_drops: Drops on the lens per megapixel of an image 1000 px high.
        width: Streak width in the middle distance.
        blur: Standard deviation of the streaks' defocus in the middle distance.
        angle: Mean fall angle over images, in degrees off the vertical, positive to the right.
        angle_spread: How far the wind turns all streaks of an image from ``angle`` at most,
            degrees.
    """

    words: str
    density: float
    length: float
    opacity: float
    num_layers: int
    veil: float
    spray: float
    gloss: float
    softness: float
    noise: float
    lens_drops: float
    width: float = 0.0029
    blur: float = 0.0012
    angle: float = 0.0
    angle_spread: float = 15.0


# Levels of a 2D renderer are nominal; the words are those of the AMS Glossary of Meteorology
# (light up to 2.5, moderate 2.6 to 7.6, heavy above 7.6 mm/h), not a calibration. The figures
# were chosen so that clear photographs get the statistics of real rain (docs/rain.md).
# Downwards nothing may shrink.
SEVERITIES: Mapping[int, Severity] = MappingProxyType(
    {
        1: Severity(
            words="light",
            density=80, length=0.072, opacity=0.36, num_layers=2,
            veil=0.06, spray=0.07, gloss=0.16, softness=0.0005, noise=0.6, lens_drops=5,
        ),
        2: Severity(
            words="light to moderate",
            density=120, length=0.088, opacity=0.4, num_layers=2,
            veil=0.21, spray=0.17, gloss=0.25, softness=0.0007, noise=0.8, lens_drops=9,
        ),
        3: Severity(
            words="moderate",
            density=165, length=0.105, opacity=0.44, num_layers=2,
            veil=0.47, spray=0.29, gloss=0.34, softness=0.0009, noise=1.0, lens_drops=14,
        ),
        4: Severity(
            words="heavy",
            density=210, length=0.117, opacity=0.48, num_layers=3,
            veil=0.84, spray=0.44, gloss=0.44, softness=0.0012, noise=1.2, lens_drops=20,
        ),
        5: Severity(
            words="very heavy",
            density=260, length=0.130, opacity=0.52, num_layers=4,
            veil=1.4, spray=0.65, gloss=0.54, softness=0.0016, noise=1.4, lens_drops=28,
        ),
    }
)  # fmt: skip


def check_severity(severity: int) -> None:
    """Raise unless ``severity`` is 0, the clean image, or one of the table."""
    if not isinstance(severity, Integral):
        raise TypeError(f"severity must be an integer, got {severity!r}")
    if severity != 0 and severity not in SEVERITIES:
        raise ValueError(f"severity must be in 0-{max(SEVERITIES)}, got {severity}")


def draw_severity(mildest: int, worst: int, *, seed: Seed, prob: float = 1.0) -> int:
    """Draw a severity uniformly from ``mildest`` to ``worst``, or 0 where it does not rain.

    Args:
        mildest: 0 to 5.
        worst: ``mildest`` to 5, included.
        seed: What also seeds :func:`render_rain` for this image.
        prob: How probable rain is, 0-1. The seeds on which it rains at a smaller ``prob`` are
            among those of a larger one.

    Raises:
        TypeError: If a severity is not an integer.
        ValueError: If a severity is outside 0-5, or the range is empty.
    """
    check_severity_range(mildest, worst)
    weather = random_stream(seed, "weather")
    rains = weather.random() < prob
    return int(weather.integers(mildest, worst + 1)) if rains else 0


def check_severity_range(mildest: int, worst: int) -> None:
    """Raise unless both are severities, in this order."""
    for end in (mildest, worst):
        check_severity(end)
    if mildest > worst:
        raise ValueError(f"a severity range goes from mild to worst, got {(mildest, worst)}")

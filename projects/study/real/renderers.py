"""What a clear photo is turned into for training, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from derain_plugin.adapting.renderers import IMGAUG, OURS, TransformRain
from derain_plugin.datasets.transforms import HeldOutRain
from derain_plugin.rain import RENDERER_VERSION, Seed, render_rain
from derain_plugin.rain.components import DEFAULT_COMPONENTS

ALBUMENTATIONS: dict[int, dict[str, Any]] = {
    1: dict(rain_type="drizzle", brightness_coefficient=0.95, blur_value=1),
    2: dict(rain_type="default", brightness_coefficient=0.9, blur_value=3),
    3: dict(rain_type="default", brightness_coefficient=0.8, blur_value=3),
    4: dict(rain_type="heavy", brightness_coefficient=0.7, blur_value=5),
    5: dict(rain_type="torrential", brightness_coefficient=0.6, blur_value=7),
}
"""Options of albumentations' ``RandomRain`` by severity."""

MIXES = dict(
    streaks="streaks",
    veil="veil",
    no_streaks="veil,spray=0.8,wet_ground=0.8,soft_focus=0.8",
    lens_drops=f"{DEFAULT_COMPONENTS},lens_drops=0.5",
)
"""Components of our rain, as ``render_rain`` takes them, by name."""


class Rain(NamedTuple):
    """A renderer.

    Attributes:
        render: Called as ``render(image, severity, seed=...)``, uint8 BGR in and out.
        version: What is rendered by other versions is another training.
    """

    render: Callable[..., np.ndarray]
    version: str = "1"


def photometric(image: np.ndarray, severity: int, *, seed: Seed) -> np.ndarray:
    """Return ``image`` with less contrast, other light, blur, noise and JPEG's artefacts.

    A control: bad photographs without any rain. Each is drawn up to a maximum that grows with
    the severity.
    """
    rng = np.random.default_rng(seed)
    contrast = 1 - rng.uniform(0, 0.16 * severity)
    light = rng.uniform(-0.06, 0.06) * severity * 255
    mean = image.mean()
    changed = mean + contrast * (image.astype(np.float32) - mean) + light
    sigma = rng.uniform(0, 0.0008) * severity * image.shape[0]
    if sigma > 0.1:
        changed = cv2.GaussianBlur(changed, (0, 0), sigma)
    changed += rng.normal(0, rng.uniform(0, 3) * severity, image.shape)
    quality = round(95 - rng.uniform(0, 14) * severity)
    clipped = changed.clip(0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", clipped, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def rainy_and_photometric(image: np.ndarray, severity: int, *, seed: Seed) -> np.ndarray:
    """Return ``image`` in our rain, and as bad as half of the severity of :func:`photometric`."""
    rainy = render_rain(image, severity, seed=seed)
    return photometric(rainy, (severity + 1) // 2, seed=seed)


def imgaug_rain(image: np.ndarray, severity: int, *, seed: Seed) -> np.ndarray:
    """Return ``image`` in imgaug's rain."""
    return np.asarray(_imgaug()(image, severity, seed=seed))


@cache
def _imgaug() -> TransformRain:
    return TransformRain({level: HeldOutRain(**options) for level, options in IMGAUG.items()})


def albumentations_rain(image: np.ndarray, severity: int, *, seed: Seed) -> np.ndarray:
    """Return ``image`` in albumentations' rain."""
    import albumentations

    rain = albumentations.RandomRain(**ALBUMENTATIONS[severity], p=1)
    return albumentations.Compose([rain], seed=seed)(image=image)["image"]


RENDERERS = {
    "ours": Rain(render_rain, str(RENDERER_VERSION)),
    **{f"ours_{version}": Rain(render, str(version)) for version, render in OURS.items()},
    **{
        name: Rain(partial(render_rain, components=mix), f"{RENDERER_VERSION} {mix}")
        for name, mix in MIXES.items()
    },
    "photometric": Rain(photometric),
    "ours_photometric": Rain(rainy_and_photometric, f"{RENDERER_VERSION} 1"),
    "imgaug": Rain(imgaug_rain),
    "albumentations": Rain(albumentations_rain),
}

"""What can be measured on single photographs of rain: contrast, color, haze and sharpness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from derain_plugin.rain import SEVERITIES, image_seed, render_rain, version_2
from derain_plugin.rain.components import Components
from derain_plugin.rain.images import find_images, read_image

NAMES = ("RMS contrast", "saturation", "dark channel", "Laplacian variance")
"""Of the figures, in order."""

PERCENTILES = (50, 10, 90)
SIZE = 416  # px of the longer side: sharpness means nothing without a size
_PATCH = 15  # px, of the dark channel

Renderer = Callable[..., np.ndarray]


def image_figures(image: np.ndarray) -> tuple[float, float, float, float]:
    """Measure one photograph, ``(H, W, 3)`` uint8, BGR, at 416 px on its longer side.

    Returns:
        Standard deviation of the grey image, mean saturation (HSV) and mean of the dark channel
        (the least of all channels in patches of 15 px; He, Sun and Tang, "Single Image Haze
        Removal Using Dark Channel Prior", CVPR 2009), all 0-1; and the variance of the Laplacian
        of the grey image in levels of 0-255, which is large where it is sharp.
    """
    scale = SIZE / max(image.shape)
    image = cv2.resize(image, None, fx=scale, fy=scale)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    saturation = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1]
    dark = cv2.erode(image.min(axis=2), np.ones((_PATCH, _PATCH), np.uint8))
    sharpness = cv2.Laplacian(grey, cv2.CV_64F).var()
    return grey.std() / 255, saturation.mean() / 255, dark.mean() / 255, sharpness


def percentiles(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return ``PERCENTILES`` of the figures over images: ``(3, 4)``."""
    return np.percentile([image_figures(image) for image in images], PERCENTILES, axis=0)


def photos_below(folder: Path, *, every: int = 1) -> Iterator[tuple[int | str, np.ndarray]]:
    """Read every so many photograph below a folder; give its id, and itself."""
    for source in find_images(folder)[::every]:
        yield source.image_id, read_image(folder / source.path)


def renderer_of(version: int, components: Components) -> Renderer:
    """Return the renderer of a version; version 2 has no components."""
    if version == 2:
        return version_2.render_rain
    return partial(render_rain, components=components)


def figures_in_rain(
    folder: Path, renderer: Renderer, *, every: int = 1, severities: Sequence[int] = (*SEVERITIES,)
) -> dict[int, np.ndarray]:
    """Return :func:`percentiles` of clear photographs at each severity."""
    photos = list(photos_below(folder, every=every))
    return {
        k: percentiles(renderer(photo, k, seed=image_seed(0, name)) for name, photo in photos)
        for k in severities
    }

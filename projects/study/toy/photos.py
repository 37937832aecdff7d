"""The toy data's photographs; no image is in two splits."""

from functools import cache

import cv2
import numpy as np

from derain_plugin.rain.photos import load_photos

PHOTOS = {
    "train": (
        "astronaut", "cell", "coins", "grass", "hubble_deep_field", "immunohistochemistry",
        "moon", "page", "retina", "stereo_motorcycle",
    ),
    "val": ("chelsea", "clock", "gravel"),
    "test": ("brick", "camera", "coffee", "rocket", "text"),
}  # fmt: skip


@cache
def load_split(split: str) -> tuple[np.ndarray, ...]:
    """Return the photographs of ``train``, ``val`` or ``test``: ``(H, W, 3)`` uint8, BGR.

    Raises:
        ImportError: scikit-image is not installed.
    """
    return load_photos(*PHOTOS[split])


def random_crop(
    photos: tuple[np.ndarray, ...], width: int, height: int, rng: np.random.Generator
) -> np.ndarray:
    """Cut a piece of random place and scale out of one photograph, mirrored half of the time."""
    photo = photos[rng.integers(len(photos))]
    rows, columns = photo.shape[:2]
    scale = rng.uniform(0.35, 1.0) * min(rows / height, columns / width)
    cut_height, cut_width = max(1, int(scale * height)), max(1, int(scale * width))
    top = rng.integers(rows - cut_height + 1)
    left = rng.integers(columns - cut_width + 1)
    piece = photo[top : top + cut_height, left : left + cut_width]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    return cv2.resize(piece, (width, height), interpolation=cv2.INTER_AREA)

"""Real images to verify and to calibrate an exported detector on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from derain_plugin.rain.images import UnreadableError, find_images, read_image
from derain_plugin.rain.photos import load_photos

SHIPPED = ("astronaut", "chelsea", "coffee", "rocket", "stereo_motorcycle")
Item = TypeVar("Item")


def read_images(
    folder: Path | None, dataset: Mapping[str, Any], *, count: int
) -> dict[str, np.ndarray]:
    """Read up to ``count`` images, evenly spread over a folder.

    Args:
        folder: Where they are, sub-folders included; None for the images of ``dataset`` if they
            are there, else the photographs that scikit-image ships.
        dataset: Config of a data set of mmdet.
        count: At most so many.

    Returns:
        ``(H, W, 3)`` uint8, BGR, by name.

    Raises:
        FileNotFoundError: ``folder`` is none.
        ImportError: scikit-image is needed, and not installed.
        ValueError: There is no image in the folder, or one cannot be read.
    """
    folder = folder or _images_of(dataset)
    if folder is None:
        return dict(zip(SHIPPED, load_photos(*SHIPPED), strict=True))
    names = [image.path for image in spread(find_images(folder), count)]
    return {name: _read(folder / name) for name in names}


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """Choose up to ``count`` items at equal distances."""
    step = max(1, len(items) / count)
    return [items[int(i * step)] for i in range(min(count, len(items)))]


def _read(path: Path) -> np.ndarray:
    try:
        return read_image(path)
    except UnreadableError as error:
        raise ValueError(f"{path}: {error}") from error


def _images_of(dataset: Mapping[str, Any]) -> Path | None:
    prefix = dataset.get("data_prefix") or {}
    folder = Path(dataset.get("data_root") or "", prefix.get("img", ""))
    return folder if prefix.get("img") and folder.is_dir() else None

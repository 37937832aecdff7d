"""Which photographs there are to adapt to, and whether they are fit for it."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from derain_plugin.rain.images import (
    EXTENSIONS,
    UnreadableError,
    find_images,
    listed_images,
    read_image,
)

LOOKED_AT = 32  # photos whose colours are judged
DARK, PALE = 0.33, 0.13
"""Median dark channel above, and saturation below which photos look like bad weather.

Measured on DAWN's rain .39 and .10, on its fog .49 and .07, on clear dashboard photos .19 and .23.
"""


@dataclass(frozen=True)
class Photos:
    """Photographs that can be read, and those that cannot.

    Attributes:
        paths: Files, each once, in order.
        skipped: Why others are left out.
    """

    paths: list[Path]
    skipped: dict[Path, str] = field(default_factory=dict)


def find_photos(sources: Sequence[str | Path]) -> Photos:
    """Find and read all photos of files, folders (with their sub-folders), globs and COCO files.

    Raises:
        FileNotFoundError: A source leads to nothing.
        ValueError: No photo can be read.
    """
    files = list(dict.fromkeys(file for source in sources for file in _files_of(str(source))))
    good, skipped = [], {}
    for file in tqdm(files, desc="reading photos", unit="photo", leave=False, disable=None):
        try:
            read_image(file)
            good.append(file)
        except UnreadableError as error:
            skipped[file] = str(error)
    if not good:
        first = next(iter(skipped.items()), None)
        reason = f"; {first[0]}: {first[1]}" if first else ""
        raise ValueError(f"none of {len(files)} photos can be read{reason}")
    return Photos(good, skipped)


def _files_of(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        return [path / image.path for image in find_images(path)]
    if path.suffix.lower() == ".json":
        return _listed_in(path)
    if path.is_file():
        return [path]
    found = sorted(map(Path, glob.glob(str(path), recursive=True)))
    images = [file for file in found if file.is_file() and file.suffix.lower() in EXTENSIONS]
    if not images:
        raise FileNotFoundError(f"{source} is no folder, file or glob that leads to images")
    return images


def _listed_in(annotations: Path) -> list[Path]:
    """Return the images of a COCO file; its labels are not read."""
    folder = folder_of(annotations)
    return [folder / image.path for image in listed_images(folder, annotations)]


def folder_of(annotations: Path) -> Path:
    """Return the folder that a COCO file's image names start from.

    Raises:
        FileNotFoundError: The file is not there, or none of its images is.
    """
    here, split = annotations.parent, annotations.stem.removeprefix("instances_")
    folders = (here, here / "images", here.parent, here.parent / "images", here.parent / split)
    for folder in filter(Path.is_dir, folders):
        with suppress(FileNotFoundError):
            listed_images(folder, annotations)
            return folder
    raise FileNotFoundError(
        f"{annotations} is not there, or none of its images is in {', '.join(map(str, folders))}: "
        "name the folder of the images instead"
    )


def look_like_bad_weather(photos: Sequence[Path]) -> bool:
    """Whether most photos are as pale and hazy as photographs of rain or fog."""
    chosen = photos[:: max(1, len(photos) // LOOKED_AT)][:LOOKED_AT]
    dark, saturation = np.median([_haze(read_image(photo)) for photo in chosen], axis=0)
    return bool(dark > DARK and saturation < PALE)


def _haze(image: np.ndarray) -> tuple[float, float]:
    """Return the mean dark channel over 15 px (He et al. 2009) and the mean saturation, 0-1."""
    scale = min(1.0, 640 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    dark = cv2.erode(small.min(2), np.ones((15, 15), np.uint8))
    saturation = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)[..., 1]
    return dark.mean() / 255, saturation.mean() / 255

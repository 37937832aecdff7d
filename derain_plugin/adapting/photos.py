"""Which photographs there are to adapt to, and whether they are fit for it."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from derain_plugin.rain.images import (
    EXTENSIONS,
    UnreadableError,
    check_image,
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
        names: Of the files, relative to the folder, glob or COCO file that led to them.
        sizes: Of the files, height and width.
    """

    paths: list[Path]
    skipped: dict[Path, str] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)
    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def name_of(self, path: Path) -> str:
        """Return the relative name of a file; alone, a file is found by its name."""
        return self.names.get(path, path.name)


def find_photos(sources: Sequence[str | Path]) -> Photos:
    """Find and read all photos of files, folders (with their sub-folders), globs and COCO files.

    All are read once, so that a damaged one ends no training.

    Raises:
        FileNotFoundError: A source leads to nothing.
        ValueError: No photo can be read.
    """
    names: dict[Path, str] = {}
    for source in sources:
        for folder, name in _files_of(str(source)):
            names.setdefault(folder / name, name)
    sizes, skipped = check_images(names, what="reading photos")
    if not sizes:
        first = next(iter(skipped.items()), None)
        reason = f"; {first[0]}: {first[1]}" if first else ""
        raise ValueError(f"none of {len(names)} photos can be read{reason}")
    return Photos(list(sizes), skipped, names, sizes)


def check_images(
    files: Collection[Path], *, what: str
) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Read images, a thread per core, and keep none.

    Args:
        files: All of them.
        what: Is said beside the progress bar.

    Returns:
        Height and width of those that can be read, and why others cannot; in the order of
        ``files``.
    """
    sizes, unreadable = {}, {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding releases the interpreter
        checked = zip(files, pool.map(_size_or_reason, files), strict=True)
        bar = tqdm(checked, total=len(files), desc=what, unit="image", leave=False, disable=None)
        for file, (size, reason) in bar:
            if reason is None:
                sizes[file] = size
            else:
                unreadable[file] = reason
    return sizes, unreadable


def _size_or_reason(file: Path) -> tuple[tuple[int, int], str | None]:
    try:
        return check_image(file), None
    except UnreadableError as error:
        return (0, 0), str(error)


def _files_of(source: str) -> list[tuple[Path, str]]:
    """Return folders, and the names of images below them."""
    path = Path(source).expanduser()
    if path.is_dir():
        return [(path, image.path) for image in find_images(path)]
    if path.suffix.lower() == ".json":
        return _listed_in(path)
    if path.is_file():
        return [(path.parent, path.name)]
    found = sorted(map(Path, glob.glob(str(path), recursive=True)))
    images = [file for file in found if file.is_file() and file.suffix.lower() in EXTENSIONS]
    if not images:
        raise FileNotFoundError(f"{source} is no folder, file or glob that leads to images")
    fixed = takewhile(lambda part: not glob.has_magic(part), path.parts)
    folder = Path(*fixed)
    return [(folder, file.relative_to(folder).as_posix()) for file in images]


def _listed_in(annotations: Path) -> list[tuple[Path, str]]:
    """Return the images of a COCO file; its labels are not read."""
    folder = folder_of(annotations)
    return [(folder, image.path) for image in listed_images(folder, annotations)]


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

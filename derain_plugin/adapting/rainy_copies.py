"""Photographs that somebody else has put in rain: a folder of copies under the same names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from derain_plugin.adapting.photos import Photos, check_images
from derain_plugin.adapting.view import View
from derain_plugin.rain.images import EXTENSIONS, files_below, read_image

LEVEL_FOLDER = re.compile(r"severity_([1-5])")


class RainyCopies:
    """Rain that lies in a folder: of every photo a copy of the same relative name, any format.

    Copies of several severities are in sub-folders ``severity_1`` to ``severity_5``, as
    ``derain-make-rainy-coco --per-severity`` writes them; where one is missing, the nearest
    serves. Without sub-folders the one copy serves for every severity.

    Args:
        folder: Where they are.

    Attributes:
        name: The folder.
        version: Tells other copies apart, once :meth:`check` has seen them.

    Raises:
        ValueError: There is no image in it.
    """

    def __init__(self, folder: Path) -> None:
        self.name, self.version = str(folder.resolve()), ""
        self._levels = _levels_of(folder)
        self._files: dict[tuple[Path, int], Path] = {}

    def record(self) -> dict[str, Any]:
        """Return which rain it is, as json takes it."""
        return dict(name=self.name, version=self.version)

    def check(self, photos: Photos) -> list[str]:
        """Find the copies of all photos, and refuse those that cannot be used.

        Raises:
            ValueError: Photos without a copy, or copies that cannot be read or have another size;
                the message counts them and names the first.
        """
        missing = [path for path in photos.paths if not self._find(path, photos.name_of(path))]
        if missing:
            first = missing[0]
            raise ValueError(
                f"{self.name} holds no rainy copy of {len(missing)} of {len(photos.paths)} photos, "
                f"such as {first}: a copy must be there as {photos.name_of(first)}, in any image "
                f"format{', in ' + self._folders() if 0 not in self._levels else ''}"
            )
        self._refuse_shared()
        sizes, unreadable = check_images(self._files.values(), what="reading rainy copies")
        if unreadable:
            path, reason = next(iter(unreadable.items()))
            raise ValueError(
                f"{len(unreadable)} rainy copies cannot be read, such as {path}: {reason}; make "
                "them again"
            )
        self._refuse_other_sizes(photos, sizes)
        self.version = self._digest()
        return []

    def on(
        self,
        image: np.ndarray,
        severity: int,
        *,
        seed: Any,
        photo: Path,
        view: View | None = None,
    ) -> np.ndarray:
        """Read the copy of a photo, and return what ``image`` shows of it.

        Raises:
            ValueError: A photo that was not there when the copies were checked.
        """
        level = min(self._levels, key=lambda level: (abs(level - severity), level))
        if (photo, level) not in self._files:
            raise ValueError(f"{photo} is none of the photos whose rainy copies were checked")
        rainy = read_image(self._files[photo, level])
        height, width = image.shape[:2] if view is None else view.shape
        if rainy.shape[:2] != (height, width):
            rainy = cv2.resize(rainy, (width, height), interpolation=cv2.INTER_AREA)
        return rainy if view is None else view.of(rainy)

    def _find(self, photo: Path, name: str) -> bool:
        """Note the copies of a photo; whether there is one of every level."""
        stem = str(PurePosixPath(name).with_suffix(""))
        for level, (folder, names) in self._levels.items():
            found = names.get(name, names.get(stem))
            if found is None:
                return False
            self._files[photo, level] = folder / found
        return True

    def _folders(self) -> str:
        return ", ".join(folder.name for folder, _ in self._levels.values())

    def _refuse_shared(self) -> None:
        photos: dict[Path, Path] = {}
        for (photo, _), copy in self._files.items():
            if photos.setdefault(copy, photo) != photo:
                raise ValueError(
                    f"{copy} would be the rainy copy of both {photos[copy]} and {photo}: give the "
                    "folder above the photos, and copies with the same sub-folders"
                )

    def _refuse_other_sizes(self, photos: Photos, sizes: Mapping[Path, tuple[int, int]]) -> None:
        other = [
            (photo, copy) for (photo, _), copy in self._files.items()
            if sizes[copy] != photos.sizes[photo] or copy.samefile(photo)
        ]  # fmt: skip
        if not other:
            return
        photo, copy = other[0]
        if copy.samefile(photo):
            raise ValueError(f"{copy} is the clear photo itself: name a folder of rainy copies")
        (height, width), (rows, columns) = photos.sizes[photo], sizes[copy]
        raise ValueError(
            f"{len(other)} rainy copies have another size than their photo, such as {copy}: "
            f"{columns} x {rows}, and {photo} is {width} x {height}; make them of that size"
        )

    def _digest(self) -> str:
        """Return a hash of the names and lengths of all files that serve."""
        lines = [f"{copy.name} {copy.stat().st_size}" for copy in self._files.values()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _levels_of(folder: Path) -> dict[int, tuple[Path, dict[str, str]]]:
    """Return by severity a folder and its files, by their name with and without an extension.

    The severity is 0 where the folder has none.
    """
    matches = ((LEVEL_FOLDER.fullmatch(below.name), below) for below in sorted(folder.iterdir()))
    found = {int(match[1]): below for match, below in matches if match and below.is_dir()}
    levels = {}
    for level, below in (found or {0: folder}).items():
        files = files_below(below, EXTENSIONS)
        if not files:
            raise ValueError(f"{below} holds no rainy copy ({', '.join(sorted(EXTENSIONS))})")
        stems = {str(PurePosixPath(file).with_suffix("")): file for file in reversed(files)}
        levels[level] = below, stems | {file: file for file in files}
    return levels

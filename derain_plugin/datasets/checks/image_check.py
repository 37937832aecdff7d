"""Find damaged images, and those whose boxes would not fit, without decoding them all."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import mmcv
from PIL import Image, UnidentifiedImageError

ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND", "WEBP": b""}
"""Last bytes by format; Pillow opens no WebP that is cut off."""
TAIL = 4096  # bytes; cameras write some after the end
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
THREADS = 16  # they wait for the disk


def damaged_images(folder: str, images: Iterable[dict[str, Any]]) -> list[str]:
    """Say what is wrong with the images of annotations, by their headers and last bytes.

    Only an image whose end is missing, whose EXIF orientation lies on its side, or that is no
    JPEG, PNG or WebP, is decoded, so a large data set takes a minute and not an hour: damage in
    the middle of a file remains.

    Args:
        folder: That the file names are relative to.
        images: Entries of a COCO file. An image that is not there is left to others.

    Returns:
        A line for each image that is damaged, no image, or not of the annotated size once
        mmcv's loader has turned it upright by its EXIF orientation.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # not for the loader
        found = pool.map(partial(_fault, folder), images)
        return [fault for fault in found if fault]


def _fault(folder: str, entry: dict[str, Any]) -> str | None:
    path = Path(folder, entry["file_name"])
    try:
        with path.open("rb") as file, Image.open(file) as image:
            size: tuple[int, int] | None = image.size
            may_be_turned = image.getexif().get(ORIENTATION) in SIDEWAYS
            has_end = _has_end(file, image.format)
    except FileNotFoundError:
        return None
    except (UnidentifiedImageError, Image.DecompressionBombError):  # for Pillow, not for OpenCV
        may_be_turned = has_end = False
    except Exception as error:  # whatever a parser makes of damaged bytes
        return f"{path} cannot be read ({error})"
    if may_be_turned or not has_end:
        size = _loaded_size(path)
    if size is None:
        return f"{path} is not an image, or cut off"
    if size != (entry["width"], entry["height"]):
        turned = ", as the loader takes its EXIF orientation" if may_be_turned else ""
        annotated = f"{entry['width']}x{entry['height']}"
        return f"{path} has {size[0]}x{size[1]} px{turned}, but its annotations {annotated}"
    return None


def _has_end(file: BinaryIO, kind: str | None) -> bool:
    if kind not in ENDS:
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL))
    return ENDS[kind] in file.read()


def _loaded_size(path: Path) -> tuple[int, int] | None:
    """Width and height as in training, where OpenCV turns some formats and not others.

    ``cv2.imread`` would fill in grey what a file lacks.
    """
    try:
        image = mmcv.imread(path)
    except cv2.error:
        return None
    return None if image is None else (image.shape[1], image.shape[0])

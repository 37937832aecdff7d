"""Find damaged images, and those whose boxes would not fit, without decoding them all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import mmcv
from PIL import Image, UnidentifiedImageError

ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
TAIL = 4096  # bytes; cameras write some after the end
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
THREADS = 16  # they wait for the disk


def damaged_images(folder: str, images: Iterable[dict[str, Any]]) -> list[str]:
    """Say what is wrong with the images of annotations, by their headers and last bytes.

    Only an image whose end is missing is decoded, so a large data set takes a minute and not an
    hour: damage in the middle of a file remains.

    Args:
        folder: That the file names are relative to.
        images: Entries of a COCO file. An image that is not there is left to others.

    Returns:
        A line for each image that is damaged, no image, or not of the annotated size once
        mmcv's loader has turned it upright by its EXIF orientation.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(partial(_fault, folder), images)
        return [fault for fault in found if fault]


def _fault(folder: str, entry: dict[str, Any]) -> str | None:
    path = Path(folder, entry["file_name"])
    try:
        with path.open("rb") as file, Image.open(file) as image:
            kind, (width, height) = image.format, image.size
            is_turned = image.getexif().get(ORIENTATION) in SIDEWAYS
            has_end = _has_end(file, kind)
    except FileNotFoundError:
        return None
    except UnidentifiedImageError:  # OpenCV knows other formats than Pillow
        return None if _decodes(path) else f"{path} is not an image, or cut off"
    except Exception as error:  # whatever a parser makes of damaged bytes
        return f"{path} cannot be read ({error})"
    if not has_end and not _decodes(path):
        return f"{path} is cut off"
    size = (height, width) if is_turned else (width, height)
    if size != (entry["width"], entry["height"]):
        turned = ", turned by its EXIF orientation" if is_turned else ""
        annotated = f"{entry['width']}x{entry['height']}"
        return f"{path} has {size[0]}x{size[1]} px{turned}, but its annotations {annotated}"
    return None


def _has_end(file: BinaryIO, kind: str | None) -> bool:
    if kind not in ENDS:
        return True
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL))
    return ENDS[kind] in file.read()


def _decodes(path: Path) -> bool:
    """As in training: ``cv2.imread`` would fill in grey what a file lacks."""
    try:
        return mmcv.imread(path) is not None
    except cv2.error:
        return False

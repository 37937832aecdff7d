"""Render and store the rainy versions of one image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from derain_plugin.files import atomic_write
from derain_plugin.rain import image_seed, render_rain
from derain_plugin.rain.copies.manifest import FileRecord
from derain_plugin.rain.copies.recipe import Recipe
from derain_plugin.rain.images import SourceImage, UnreadableError, read_image


class Job(NamedTuple):
    """An image and the files to make of it: severities by their paths in the copy."""

    source: SourceImage
    targets: Mapping[str, int]


class Outcome(NamedTuple):
    """The files of one image, how many of them are new, and why it has none."""

    source: SourceImage
    files: dict[str, FileRecord]
    num_new: int
    unreadable: str | None = None


def render_image(job: Job, *, images: Path, out: Path, recipe: Recipe) -> Outcome:
    """Make the files of one image; those that are there already stay as they are.

    Raises:
        OSError: A file cannot be written.
    """
    source, files, num_new = job.source, {}, 0
    image: np.ndarray | None = None
    try:
        for path, severity in job.targets.items():
            content = _stored(out / path)
            if not content:
                image = read_image(images / source.path) if image is None else image
                content = _encode(_rain(image, severity, source, recipe), path, recipe.quality)
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                atomic_write(out / path, content)
                num_new += 1
            digest = hashlib.sha256(content).hexdigest()
            files[path] = FileRecord(sha256=digest, severity=severity, image_id=source.image_id)
    except UnreadableError as error:
        return Outcome(source, files, num_new, unreadable=str(error))
    return Outcome(source, files, num_new)


def _rain(image: np.ndarray, severity: int, source: SourceImage, recipe: Recipe) -> np.ndarray:
    seed = image_seed(recipe.seed, source.image_id)
    return render_rain(
        image, severity, seed=seed, components=recipe.components, lens_drops=recipe.lens_drops
    )


def _encode(image: np.ndarray, path: str, quality: int) -> bytes:
    extension = Path(path).suffix.lower()
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if extension in (".jpg", ".jpeg") else []
    try:
        is_encoded, content = cv2.imencode(extension, image, options)
    except cv2.error:
        is_encoded = False
    if not is_encoded:  # such as a large image of another format under the name of a JPEG
        height, width = image.shape[:2]
        raise UnreadableError(f"{width}x{height} pixels cannot be written as {extension}")
    return content.tobytes()


def _stored(path: Path) -> bytes:
    """The content of a finished file, or nothing: a power cut can leave an empty one."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""

"""Images for the page: examples that need no upload, and uploads that anyone may have sent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from derain_plugin.app.demo import DATA, demo_images
from derain_plugin.rain.images import UnreadableError, read_image
from derain_plugin.rain.photos import load_photos

NUM_TOYS = 4
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
MEGA = 1_000_000


class Examples:
    """The demo's first test images, if it has been run, and photographs that scikit-image ships.

    Args:
        data: Folder of the demo's data.

    Attributes:
        names: Of the images.
    """

    def __init__(self, data: Path = DATA) -> None:
        toys = demo_images(data)[:NUM_TOYS]
        self._files = {f"toy test image {n}": path for n, path in enumerate(toys, 1)}
        self.names = (*self._files, *PHOTOS)

    def load(self, name: str) -> np.ndarray:
        """Return an example by its name: ``(H, W, 3)`` uint8, BGR.

        Raises:
            ValueError: No example has this name, or its file is damaged.
            ImportError: scikit-image is not installed.
        """
        if name not in self.names:
            raise ValueError(f"there is no example {name!r}; there are {', '.join(self.names)}")
        if name not in self._files:
            return load_photos(name)[0]
        try:
            return read_image(self._files[name])
        except UnreadableError as error:
            raise ValueError(f"{self._files[name]}: {error}") from error


def read_uploaded_image(path: Path, *, max_megapixels: float) -> np.ndarray:
    """Read an image whose size is known to be harmless before any pixel is decoded.

    Pillow does both. What reads trusted files here, OpenCV, might see another size than whatever
    has checked it. The name says nothing: what the file is follows from its content.

    Returns:
        ``(H, W, 3)`` uint8, BGR, upright; without transparency, and of an animation the first
        frame.

    Raises:
        ValueError: It is too large, damaged or no image; the message is for who has sent it.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_megapixels * MEGA:
                raise _TooLargeError(
                    f"the image has {width} x {height} pixels, and at most {max_megapixels:g} "
                    "megapixels are taken: send a smaller one"
                )
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits of grey, which convert() would cut at 255
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            upright = upright.convert("RGB")
    except _TooLargeError:
        raise
    except Exception as error:  # whatever a parser makes of hostile bytes
        raise ValueError(
            f"this cannot be read as an image: send a whole {', '.join(FORMATS)} file"
        ) from error
    return np.ascontiguousarray(np.asarray(upright)[..., ::-1])


class _TooLargeError(ValueError):
    """Tells our refusal from the parsers' own errors."""


def shrink_to(image: np.ndarray, *, side: int) -> np.ndarray:
    """Return ``image``, ``(H, W, 3)`` uint8, with a longer side of ``side`` px at most."""
    height, width = image.shape[:2]
    if max(height, width) <= side:
        return image
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

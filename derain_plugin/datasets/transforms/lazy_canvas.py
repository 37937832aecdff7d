"""An image on a larger canvas that is filled in only where somebody looks."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

_SMALL = 3  # images in a canvas that is faster filled in and resized than warped


class LazyCanvas:
    """An image on a canvas of one colour, kept apart from it.

    Cropping and expanding move numbers; ``resize`` makes the pixels that are wanted. Everything
    else takes it for the array ``(H, W, C)`` that ``numpy.asarray`` makes of it.

    Args:
        image: (h, w, C), what is seen of the image.
        shape: Height and width of the canvas.
        left: Column of the canvas where the image begins.
        top: Row of the canvas where it begins.
        fill: The canvas' colour, one value or one for each channel.
    """

    def __init__(
        self,
        image: np.ndarray,
        *,
        shape: tuple[int, int],
        left: int,
        top: int,
        fill: Sequence[float] | np.ndarray | float = 0,
    ) -> None:
        self.image, self.left, self.top = image, left, top
        self.shape = (*shape, image.shape[2])
        self.fill = np.broadcast_to(np.asarray(fill, image.dtype), image.shape[2:])

    def holding(self, image: np.ndarray) -> "LazyCanvas":
        """Return the same canvas with another image, of the same size, in its place."""
        return LazyCanvas(image, shape=self.shape[:2], left=self.left, top=self.top, fill=self.fill)

    def crop(self, left: int, top: int, right: int, bottom: int) -> "np.ndarray | LazyCanvas":
        """Return a part of the canvas, an array where that is a part of the image alone."""
        height, width = self.image.shape[:2]
        x, y = left - self.left, top - self.top  # the part's corner, seen from the image
        seen = self.image[
            max(y, 0) : max(min(bottom - self.top, height), 0),
            max(x, 0) : max(min(right - self.left, width), 0),
        ]
        shape = bottom - top, right - left
        if seen.shape[:2] == shape:
            return seen
        return LazyCanvas(seen, shape=shape, left=max(-x, 0), top=max(-y, 0), fill=self.fill)

    def flip(self, direction: str) -> "LazyCanvas":
        """Return it flipped, ``horizontal``, ``vertical`` or ``diagonal``."""
        left, top = self.left, self.top
        if direction != "vertical":
            left = self.shape[1] - left - self.image.shape[1]
        if direction != "horizontal":
            top = self.shape[0] - top - self.image.shape[0]
        image = flip_image(self.image, direction)
        return LazyCanvas(image, shape=self.shape[:2], left=left, top=top, fill=self.fill)

    def resize(self, size: tuple[int, int]) -> np.ndarray:
        """Return the canvas at another width and height, bilinear, as ``cv2.resize`` does.

        Of a canvas that the image covers less than a third of, only the rectangle that it lands
        on is computed, straight from the image. The array (H, W, C) lies in memory channel by
        channel.
        """
        if _SMALL * self.image.size > np.prod(self.shape):
            return channel_by_channel(cv2.resize(np.asarray(self), size).reshape(*size[::-1], -1))
        planes = np.empty((self.shape[2], size[1], size[0]), self.image.dtype)
        planes[:] = self.fill[:, None, None]
        if self.image.size:
            self._warp_into(planes)
        return planes.transpose(1, 2, 0)

    def _warp_into(self, planes: np.ndarray) -> None:
        size = planes.shape[:0:-1]
        scales = size[0] / self.shape[1], size[1] / self.shape[0]
        image, left, top = self._rimmed()
        columns = _landing(left, image.shape[1], scale=scales[0], end=size[0])
        rows = _landing(top, image.shape[0], scale=scales[1], end=size[1])
        matrix = np.array(
            [
                [scales[0], 0, scales[0] * (left + 0.5) - 0.5 - columns.start],
                [0, scales[1], scales[1] * (top + 0.5) - 0.5 - rows.start],
            ]
        )
        warped = cv2.warpAffine(
            image,
            matrix,
            (columns.stop - columns.start, rows.stop - rows.start),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        cv2.split(warped, [plane[rows, columns] for plane in planes])

    def _rimmed(self) -> tuple[np.ndarray, int, int]:
        """Return the image with one pixel of canvas on the sides that have any, and its corner.

        Repeating the border then is the canvas on these sides, and on those where the canvas
        ends it is what ``cv2.resize`` does.
        """
        right = self.left + self.image.shape[1] < self.shape[1]
        bottom = self.top + self.image.shape[0] < self.shape[0]
        left, top = self.left > 0, self.top > 0
        height, width, channels = self.image.shape
        rimmed = np.full(
            (height + top + bottom, width + left + right, channels), self.fill, self.image.dtype
        )
        rimmed[top : top + height, left : left + width] = self.image
        return rimmed, self.left - left, self.top - top

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Fill the whole canvas in."""
        if copy is False:
            raise ValueError("a canvas cannot be filled in without a copy")
        canvas = np.full(self.shape, self.fill, dtype or self.image.dtype)
        height, width = self.image.shape[:2]
        canvas[self.top : self.top + height, self.left : self.left + width] = self.image
        return canvas

    def __getitem__(self, key: Any) -> np.ndarray:
        """Index the canvas as an array."""
        return np.asarray(self)[key]

    def __getattr__(self, name: str) -> Any:
        """Be an array for whatever asks for one."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)


def _landing(start: int, length: int, *, scale: float, end: int) -> slice:
    """Return the output pixels that ``length`` input pixels from ``start`` on have a share in."""
    first = int(np.floor(scale * (start - 0.5) - 0.5))
    last = int(np.ceil(scale * (start + length + 0.5) - 0.5)) + 1
    return slice(min(max(first, 0), end - 1), max(min(last, end), 1))


def flip_image(image: np.ndarray, direction: str) -> np.ndarray:
    """Return an array (H, W, C) flipped ``horizontal``, ``vertical`` or ``diagonal``."""
    if image.size == 0:
        return image
    code = {"horizontal": 1, "vertical": 0, "diagonal": -1}[direction]
    return cv2.flip(image, code).reshape(image.shape)


def channel_by_channel(image: np.ndarray) -> np.ndarray:
    """Return the same (H, W, C) array over memory of (C, H, W)."""
    if image.ndim != 3:
        return image
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))
    return planes.transpose(1, 2, 0)

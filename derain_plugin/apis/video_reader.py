"""The frames of a video, or of a part of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from derain_plugin.rain.copies.render_image import UnreadableError


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        image: ``(H, W, 3)`` uint8, BGR; None if it cannot be decoded.
        index: Its number in the whole video, from 0.
        seconds: Its time in the whole video: ``index`` over the frame rate.
    """

    image: np.ndarray | None
    index: int
    seconds: float


class VideoReader:
    """Iterate over the frames whose time is at least ``start`` and before ``end``.

    Args:
        path: Of a file that OpenCV's ffmpeg decodes.
        start: Seconds; default the beginning.
        end: Seconds; default the end.

    Attributes:
        fps: Frames per second.

    Raises:
        UnreadableError: The file is no video, or one of unknown frame rate or length.
        ValueError: ``start`` or ``end`` is outside the video, or no frame is between them.
    """

    def __init__(self, path: Path, *, start: float | None = None, end: float | None = None) -> None:
        self._path = path
        capture = self._open()
        self.fps = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        if not (self.fps > 0 and count > 0):
            raise UnreadableError(
                f"its header gives {self.fps:g} frames per second and {count:g} frames: remux it "
                f"(ffmpeg -i {path.name} -c copy whole.mp4)"
            )
        seconds = count / self.fps
        for option, value in (("start", start), ("end", end)):
            if value is not None and not 0 <= value <= seconds:
                raise ValueError(f"{option} {value:g} s is outside {path}, which has {seconds:g} s")
        first = self._frame_at(start or 0)
        stop = int(count) if end is None else self._frame_at(end)
        self._range = range(first, min(stop, int(count)))
        if not self._range:
            raise ValueError(f"{path} has no frame from {start or 0:g} s to {end or seconds:g} s")

    def __len__(self) -> int:
        """How many frames there should be."""
        return len(self._range)

    def __iter__(self) -> Iterator[Frame]:
        """Decode the frames in their order."""
        capture = self._open()
        try:
            if self._range.start:
                capture.set(cv2.CAP_PROP_POS_FRAMES, self._range.start)
            for index in self._range:
                is_read, image = capture.read()
                yield Frame(image if is_read else None, index, index / self.fps)
        finally:
            capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise UnreadableError("not a video that OpenCV can read, or cut off")
        return capture

    def _frame_at(self, seconds: float) -> int:
        """The first frame not before ``seconds``; a rounding error does not skip one."""
        return math.ceil(seconds * self.fps - 1e-6)

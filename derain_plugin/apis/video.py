"""Videos: read the frames of a part, write a file that appears whole."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from derain_plugin.rain.images import UnreadableError


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


class VideoFile:
    """Write an ``.mp4`` under another name, and rename it at the end of the ``with`` block.

    If the block ends with Ctrl-C, the frames written so far are a video, too, and are kept. After
    any other error, and without a frame, nothing is left. The codec is MPEG-4 part 2 (mp4v), the
    only one for ``.mp4`` that every build of OpenCV has; it drops the last row or column of an
    odd size.

    Args:
        path: The file, ``.mp4``.
        fps: Frames per second.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        self._path = path
        # OpenCV takes the container from the suffix.
        self._partial = path.with_name(f"{path.stem}.partial.mp4")
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> VideoFile:
        """Begin; nothing is written yet."""
        return self

    def write(self, image: np.ndarray) -> None:
        """Append ``(H, W, 3)`` uint8, BGR, of the same size as the images before.

        Raises:
            OSError: OpenCV cannot write the file.
        """
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            size = image.shape[1::-1]
            self._writer = cv2.VideoWriter(str(self._partial), codec, self._fps, size)
            if not self._writer.isOpened():
                raise OSError(f"OpenCV cannot write {self._partial} ({size[0]}x{size[1]} px, mp4v)")
        self._writer.write(image)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its name, or remove it."""
        if self._writer is None:
            return
        self._writer.release()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)

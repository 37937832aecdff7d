"""A video that appears whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np


class VideoFile:
    """Write an ``.mp4`` beside its place, and move it there at the end of the ``with`` block.

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
        """Move the file to its place, or remove it."""
        if self._writer is None:
            return
        self._writer.release()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)

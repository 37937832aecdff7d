"""Videos: read the frames of a part, write a file that appears whole."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.codec.context import Flags
from av.container import OutputContainer

from derain_plugin.apis.video_stream import decoded, opened
from derain_plugin.apis.video_times import read_timeline
from derain_plugin.files import not_written, partial_of
from derain_plugin.rain.images import UnreadableError

OPTIONS = dict(preset="veryfast", crf="20", bf="0")  # B-frames would blur how long one is shown
MAX_SIDE = 16384  # px, of libx264
ROUNDING = 5e-4  # s: Matroska rounds times to 1 ms


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        image: ``(H, W, 3)`` uint8, BGR, upright; None if it cannot be decoded.
        index: Its number in the whole video, from 0.
        seconds: From the first frame of the whole video to this one, by their timestamps.
        duration: Seconds to the next frame.
    """

    image: np.ndarray | None
    index: int
    seconds: float
    duration: float


class VideoReader:
    """Iterate over the frames whose time is at least ``start`` and before ``end``.

    Args:
        path: Of a file that ffmpeg decodes.
        start: Seconds from the first frame; default the beginning.
        end: Seconds from the first frame; default the end.

    Attributes:
        time_base: Seconds of a tick, of which all times are multiples, unless a gap were too long
            for a file then.
        codec: Its name.
        missing: Seconds by which the file ends before the end that its header states.

    Raises:
        UnreadableError: The file is no video, or has no frame that can be decoded.
        ValueError: ``start`` or ``end`` is outside the video, or no frame is between them.
    """

    def __init__(self, path: Path, *, start: float | None = None, end: float | None = None) -> None:
        self._path = path
        self._timeline = read_timeline(path)
        self.time_base, self.codec = self._timeline.written_base, self._timeline.codec
        self.missing = self._timeline.missing
        seconds = self._timeline.seconds
        for option, value in (("start", start), ("end", end)):
            if value is not None and not 0 <= value <= seconds + 2 * self._rounding:
                raise ValueError(f"{option} {value:g} s is outside {path}, which has {seconds:g} s")
        stop = len(self._timeline.times) if end is None else self._frame_at(end)
        self._range = range(self._frame_at(start or 0), stop)
        if not self._range:
            raise ValueError(f"{path} has no frame from {start or 0:g} s to {end or seconds:g} s")

    def __len__(self) -> int:
        """How many frames there should be."""
        return len(self._range)

    def __iter__(self) -> Iterator[Frame]:
        """Decode the frames in their order."""
        expected = self._range.start
        for index, frame in self._decoded():
            if index >= self._range.stop:
                break
            if index >= expected:
                yield from (self._frame(missing) for missing in range(expected, index))
                yield self._frame(index, frame)
                expected = index + 1
        yield from (self._frame(missing) for missing in range(expected, self._range.stop))

    def _decoded(self) -> Iterator[tuple[int, av.VideoFrame | None]]:
        """Yield frames with their numbers, from one before the window or its first one."""
        if self._timeline.keys is None:
            yield from enumerate(frame for _, frame in self._from(None))
            return
        times = self._timeline.times
        frames = self._from(self._timeline.key_before(self._range.start))
        head = next(frames, None)
        if head is None or head[0] is None or head[0] > times[self._range.start]:
            head, frames = None, self._from(None)  # sought too far: not every format has an index
        for time, frame in chain([head] if head else [], frames):
            if frame is not None and time is not None:
                yield bisect_left(times, time), frame

    def _from(self, key: int | None) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
        with opened(self._path) as (container, stream):
            if key is not None:
                container.seek(key, stream=stream)
            yield from decoded((container, stream))

    def _frame(self, index: int, frame: av.VideoFrame | None = None) -> Frame:
        seconds = self._timeline.seconds_at(index)
        duration = self._timeline.seconds_at(index + 1) - seconds
        return Frame(None if frame is None else _upright(frame), index, seconds, duration)

    def _frame_at(self, seconds: float) -> int:
        """The first frame not before ``seconds``; a rounding error does not skip one."""
        ticks = (seconds - self._rounding) / float(self._timeline.time_base)
        return bisect_left(self._timeline.times, self._timeline.times[0] + ticks)

    @property
    def _rounding(self) -> float:
        return min(float(self._timeline.time_base) / 2, ROUNDING)


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """Convert to BGR, and turn and flip as the file's display matrix says."""
    image = frame.to_ndarray(format="bgr24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # Row vectors: x' = a x + c y, y' = b x + d y.
    a, b, _, c, d = np.frombuffer(bytes(cast(Buffer, matrix)), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


class VideoFile:
    """Write an ``.mp4`` under another name, and rename it at the end of the ``with`` block.

    If the block ends with Ctrl-C, the frames written so far are a video, too, and are kept. After
    any other error, and without a frame, nothing is left. The codec is H.264, which browsers play;
    it has no odd sizes, so that the last row or column of one is dropped.

    Args:
        path: The file, ``.mp4``.
        time_base: Seconds of a tick, of which the times of frames are multiples.
    """

    def __init__(self, path: Path, *, time_base: Fraction) -> None:
        self._path = path
        self._time_base = time_base
        self._container: OutputContainer | None = None
        self._has_frames = False

    def __enter__(self) -> VideoFile:
        """Begin; nothing is written yet."""
        return self

    def write(self, image: np.ndarray, *, seconds: float, duration: float) -> None:
        """Append an image; one of another size than the first is resized.

        Args:
            image: ``(H, W, 3)`` uint8, BGR.
            seconds: Its time; the file begins with the time of the first image.
            duration: How long it is shown if it is the last one, in seconds.

        Raises:
            UnreadableError: There is no ``.mp4`` of such images.
            OSError: The file cannot be written.
        """
        if self._container is None:
            self._open(image, seconds)
        fitted = _fitted(image, (self._stream.width, self._stream.height))
        frame = av.VideoFrame.from_ndarray(fitted, format="bgr24")
        frame.time_base = self._time_base
        frame.pts, frame.duration = self._ticks(seconds - self._start), self._ticks(duration)
        self._encode(frame)
        self._has_frames = True

    def _open(self, image: np.ndarray, seconds: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._start = seconds
        with self._errors_named():
            self._container = av.open(f"file:{partial_of(self._path)}", "w", format="mp4")
            self._stream = stream = self._container.add_stream("libx264", options=OPTIONS)
            stream.width, stream.height = _coded_size(image)
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = self._time_base
            stream.codec_context.flags |= Flags.frame_duration
            self._container.start_encoding()

    def _encode(self, frame: av.VideoFrame | None) -> None:
        assert self._container is not None
        with self._errors_named():
            self._container.mux(self._stream.encode(frame))

    def _ticks(self, seconds: float) -> int:
        return round(seconds / float(self._time_base))

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise not_written(error, self._path) from error
        except av.FFmpegError as error:
            raise UnreadableError(f"{self._path} cannot be written: {error.strerror}") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its name, or remove it."""
        if self._container is None:
            return
        partial = partial_of(self._path)
        try:
            if self._has_frames and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._encode(None)
                with self._errors_named():
                    self._container.close()
                os.replace(partial, self._path)
        finally:
            with suppress(OSError, av.FFmpegError):
                self._container.close()
            with suppress(OSError):
                partial.unlink()


def _coded_size(image: np.ndarray) -> tuple[int, int]:
    """Width and height that H.264 takes: even, and not too large."""
    height, width = image.shape[:2]
    factor = min(1, MAX_SIDE / max(width, height))
    width, height = (max(2, int(side * factor) // 2 * 2) for side in (width, height))
    return width, height


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    if image.shape[0] - height in (0, 1) and image.shape[1] - width in (0, 1):
        return np.ascontiguousarray(image[:height, :width])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

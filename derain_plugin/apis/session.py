"""Annotate many images and videos; what is broken is reported and skipped."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from tqdm import tqdm

from derain_plugin.apis.annotator import Annotator
from derain_plugin.apis.coco_detections import CocoDetections
from derain_plugin.apis.sources import Source
from derain_plugin.apis.video import Frame, VideoFile, VideoReader
from derain_plugin.files import NO_ROOM, atomic_write
from derain_plugin.rain.images import UnreadableError, read_image

OF_ALL_FILES = (*NO_ROOM, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
"""Of an ``OSError``: what is wrong is not this file, but where all are written."""


class Session:
    """Write the annotated version of every source.

    Args:
        annotator: Makes them.
        detections: Gets the detections of each image and frame.

    Attributes:
        num_images, num_frames: Annotated so far.
        num_broken_files, num_broken_frames: Skipped so far.
    """

    def __init__(self, annotator: Annotator, detections: CocoDetections) -> None:
        self.num_images = self.num_frames = 0
        self.num_broken_files = self.num_broken_frames = 0
        self._annotator = annotator
        self._detections = detections

    def run(self, sources: Sequence[Source], *, window: tuple[float | None, float | None]) -> None:
        """Annotate ``sources``, of videos the part between two times in seconds.

        A ``KeyboardInterrupt`` ends it with whole files: the frames of a video up to there are
        one, too. A source that cannot be read, or annotated, does not end it.

        Raises:
            OSError: A file cannot be written, and others could not, either.
            ValueError: The window is outside a video; nothing has been written then.
        """
        is_cut = window != (None, None)
        # Look into all videos first if a window may be outside of one: that stops all of it.
        opened = {source: _open(source, window) for source in sources if is_cut}
        with tqdm(total=len(sources), unit="image", disable=None) as bar:
            for source in sources:
                reader = opened[source] if is_cut else _open(source, window)
                try:
                    self._annotate(source, reader, bar)
                except UnreadableError as error:
                    self._skip_file(source, error)
                except OSError as error:
                    if error.errno in OF_ALL_FILES:
                        raise
                    self._skip_file(source, error)

    def _annotate(
        self, source: Source, reader: VideoReader | UnreadableError | None, bar: tqdm
    ) -> None:
        if isinstance(reader, VideoReader):
            bar.total += len(reader) - 1
            self._annotate_video(source, reader, bar)
            return
        bar.update()
        if reader is not None:
            raise reader
        self._annotate_image(source)

    def _annotate_image(self, source: Source) -> None:
        image = read_image(source.path)
        annotated, found = self._annotator.annotate(image)
        content = _encoded(annotated, source.out.suffix.lower())
        source.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(source.out, content)
        self._detections.add(source.path, image, found)
        self.num_images += 1

    def _annotate_video(self, source: Source, reader: VideoReader, bar: tqdm) -> None:
        broken: list[int] = []
        pace = _Pace(self._annotator)
        try:
            with VideoFile(source.out, time_base=reader.time_base) as video:
                for frame in reader:
                    if frame.image is None:
                        broken.append(frame.index)
                    else:
                        self._annotate_frame(source, frame, frame.image, video)
                        pace.num_frames += 1
                    bar.update()
        finally:
            self.num_frames += pace.num_frames
            if pace.num_frames:
                self._skip_frames(source, broken)
        if not pace.num_frames:
            raise UnreadableError(
                f"none of its {len(broken)} frames can be decoded (codec {reader.codec})"
            )
        tqdm.write(f"{source.out}: {pace}")
        if reader.missing >= 1:
            tqdm.write(
                f"{source.path} ends {reader.missing:.1f} s before the end that its header states: "
                "it may be cut off",
                file=sys.stderr,
            )

    def _annotate_frame(
        self, source: Source, frame: Frame, image: np.ndarray, video: VideoFile
    ) -> None:
        annotated, found = self._annotator.annotate(image)
        video.write(annotated, seconds=frame.seconds, duration=frame.duration)
        self._detections.add(source.path, image, found, frame=frame)

    def _skip_file(self, source: Source, error: Exception) -> None:
        self.num_broken_files += 1
        tqdm.write(f"skipped {source.path}: {error}", file=sys.stderr)

    def _skip_frames(self, source: Source, indices: Sequence[int]) -> None:
        if indices:
            self.num_broken_frames += len(indices)
            tqdm.write(
                f"skipped {len(indices)} frames of {source.path} that cannot be decoded: "
                f"{', '.join(_runs(indices))} (from 0)",
                file=sys.stderr,
            )


class _Pace:
    """Frames per second of the detectors alone, and in all."""

    def __init__(self, annotator: Annotator) -> None:
        self.num_frames = 0
        self._annotator = annotator
        self._before = list(annotator.seconds)
        self._start = time.perf_counter()

    def __str__(self) -> str:
        spent = zip(self._annotator.detectors, self._annotator.seconds, self._before, strict=True)
        alone = [f"{d.name} {self.num_frames / (now - then):.1f}" for d, now, then in spent]
        in_all = self.num_frames / (time.perf_counter() - self._start)
        return (
            f"{self.num_frames} frames, per second: detector {', '.join(alone)}; with reading, "
            f"painting and writing {in_all:.1f}"
        )


def _open(
    source: Source, window: tuple[float | None, float | None]
) -> VideoReader | UnreadableError | None:
    """Look into a video; an image needs no reader."""
    if not source.is_video:
        return None
    try:
        return VideoReader(source.path, start=window[0], end=window[1])
    except UnreadableError as error:
        return error


def _encoded(image: np.ndarray, suffix: str) -> bytes:
    try:
        is_encoded, content = cv2.imencode(suffix, image)
    except cv2.error:
        is_encoded = False
    if not is_encoded:  # such as one that is too large for a JPEG
        height, width = image.shape[:2]
        raise UnreadableError(f"{width}x{height} pixels cannot be written as {suffix}")
    return content.tobytes()


def _runs(indices: Iterable[int]) -> list[str]:
    """Shorten 3, 4, 5, 9 to 3-5, 9."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], index]
        else:
            runs.append([index])
    return ["-".join(map(str, run)) for run in runs]

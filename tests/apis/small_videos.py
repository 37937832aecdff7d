"""Write videos whose frames tell their number."""

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

STEP = 6  # grey levels from frame to frame


def write_video(path: Path, num_frames: int, *, fps: float = 10, broken: Collection[int] = ()):
    """Motion JPEG in ``.avi``, so that a frame can be broken without its neighbours."""
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, fps, (96, 64))
    for index in range(num_frames):
        writer.write(np.full((64, 96, 3), STEP * index, np.uint8))
    writer.release()
    if broken:
        _break(path, broken)
    return path


def _break(path: Path, indices: Collection[int]) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"movi")
    for index in range(max(indices) + 1):
        place = content.index(b"00dc", place + 4)
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        if index in indices:
            content[place + 8 : place + 8 + length] = bytes(length)
    path.write_bytes(content)


def frame_numbers(path: Path) -> list[int]:
    """Which frames of :func:`write_video` a video shows, by their grey."""
    capture, numbers = cv2.VideoCapture(str(path)), []
    while True:
        is_read, image = capture.read()
        if not is_read:
            return numbers
        numbers.append(round(image.mean() / STEP))

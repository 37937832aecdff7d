"""Write videos whose frames tell their number."""

from collections.abc import Collection, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

STEP = 6  # grey levels from frame to frame


def encode(
    path: Path,
    ticks: Iterable[int],
    *,
    codec: str = "libx264",
    time_base: Fraction = Fraction(1, 30),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    sound: str | None = None,
    rotation: tuple[int, bool] | None = None,
    title: str = "",
    is_marked: bool = True,
) -> Path:
    """Write a frame for each time, grey, with a mark in its first corner unless told.

    Args:
        ticks: The times.
        sound: Codec of a second of silence, the first stream.
        rotation: Degrees, and whether it is flipped.
    """
    with av.open(f"file:{path}", "w") as container:
        container.metadata["title"] = title
        audio = container.add_stream(sound, rate=48000) if sound else None
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        stream.bit_rate = 4_000_000
        stream.time_base = stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        if audio:
            for packet in [*audio.encode(_silence()), *audio.encode(None)]:
                container.mux(packet)
        for index, tick in enumerate(ticks):
            image = np.full((64, 96, 3), STEP * index, np.uint8)
            if is_marked:
                image[:16, :24] = 255
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame = frame.reformat(format=pix_fmt, interpolation="ACCURATE_RND")
            frame.pts, frame.time_base = tick, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _silence() -> av.AudioFrame:
    silence = np.zeros((2, 48000), np.float32)
    frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    return frame


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


def number_in(image: np.ndarray) -> int:
    """Which frame of a video it is, by its grey; swscale's is up to 3 too dark."""
    return round((np.median(image) + 1.5) / STEP)


def frame_numbers(path: Path) -> list[int]:
    """Which frames a video shows."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [number_in(frame.to_ndarray(format="bgr24")) for frame in frames]


def frame_times(path: Path) -> list[float]:
    """When a video shows its frames, and when it ends, in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [*(frame.time for frame in frames), frames[-1].time + _seconds_of(frames[-1])]


def _seconds_of(frame: av.VideoFrame) -> float:
    return float(frame.duration * frame.time_base)

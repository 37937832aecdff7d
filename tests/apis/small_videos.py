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
    rotation: int | None = None,
    size: tuple[int, int] = (96, 64),
):
    """Write a frame for each time, after a second of sound if ``sound`` names its codec."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream(sound, rate=48000) if sound else None
        stream = container.add_stream(codec, rate=30, options=options or {})
        (stream.width, stream.height), stream.pix_fmt = size, pix_fmt
        stream.bit_rate = 4_000_000
        stream.time_base = stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if audio:
            for packet in [*audio.encode(_silence()), *audio.encode(None)]:
                container.mux(packet)
        for index, tick in enumerate(ticks):
            grey = np.full((size[1], size[0], 3), STEP * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="bgr24")
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


def frame_numbers(path: Path) -> list[int]:
    """Which frames of :func:`write_video` a video shows, by their grey."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [round(frame.to_ndarray(format="bgr24").mean() / STEP) for frame in frames]


def frame_times(path: Path) -> list[float]:
    """When a video shows its frames, and when it ends, in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times = [float(frame.time) for frame in frames]
    return [*times, times[-1] + float(frames[-1].duration * frames[-1].time_base)]

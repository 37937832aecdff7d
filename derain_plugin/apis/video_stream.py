"""The coded and decoded frames of a video, as ffmpeg gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from derain_plugin.rain.images import UnreadableError

Video = tuple[InputContainer, VideoStream]


@contextmanager
def opened(path: Path) -> Iterator[Video]:
    """Open a video and choose its first stream of images, a cover excepted.

    Raises:
        UnreadableError: There is none, or none that can be decoded.
    """
    try:
        # Without the protocol, a colon in the name would start one; tags need not be UTF-8.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except av.FFmpegError as error:
        raise UnreadableError(f"not a video, or cut off: {error.strerror}") from error
    with container:
        streams = [s for s in container.streams.video if not _is_cover(s)]
        if not streams:
            kinds = ", ".join(stream.type for stream in container.streams)
            raise UnreadableError(f"not a video: it holds {kinds or 'nothing'}")
        if streams[0].codec_context is None:
            raise UnreadableError(
                f"no decoder for its codec, {_codec_tag(container, streams[0].index)}: convert it "
                f"(ffmpeg -i {path.name} -c:v libx264 converted.mp4)"
            )
        yield container, streams[0]


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _codec_tag(container: InputContainer, index: int) -> str:
    """Name a codec that has no decoder, which ffmpeg does in its description alone."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        description = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(level)
    found = re.search(rf"Stream #0:{index}\b.*?: Video: ([^,]+)", description)
    return found[1] if found else "which has no name"


def packets(video: Video) -> Iterator[av.Packet]:
    """Yield the coded frames, as far as the file can be read."""
    container, stream = video
    try:
        # The last packets, which are empty, only tell a decoder to finish.
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.FFmpegError:
        return


def decoded(video: Video) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
    """Yield each frame with its time, in the order of showing.

    In place of one that cannot be decoded, or not whole, there is None.
    """
    for packet in packets(video):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield packet.pts, None
        else:
            yield from map(_whole, frames)
    with suppress(av.FFmpegError):
        yield from map(_whole, video[1].decode(None))


def _whole(frame: av.VideoFrame) -> tuple[int | None, av.VideoFrame | None]:
    return frame.pts, None if frame.is_corrupt else frame

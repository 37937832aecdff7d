"""When the frames of a video are shown: by its timestamps, not by a rate times a number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from av.container import InputContainer
from av.video.stream import VideoStream

from derain_plugin.apis.video_stream import Video, decoded, opened, packets
from derain_plugin.rain.images import UnreadableError

INDEXED = ("mov", "matroska", "avi")
"""Formats in which seeking finds the frame that it is asked for."""
PACK = 2048  # bytes of an MPEG program stream that share a time
JITTER = 0.5  # s, of the times of frames that share a pack
JOINABLE = ("mpegts", "mpeg")
"""Formats of which files may be joined by appending one to another."""
MOST_TICKS = 2**31 - 1  # that an .mp4 shows a frame for
UNKNOWN_RATE = 25


@dataclass(frozen=True)
class Timeline:
    """The times of all frames of a video, also of those that cannot be decoded.

    Attributes:
        times: In ticks, increasing.
        last: How long the last frame is shown, in ticks.
        time_base: Seconds of a tick.
        keys: Time of each frame that decoding can start at, and where to seek for it. None if
            timestamps do not tell which frame is which: then decoding starts at the beginning,
            and frames are counted.
        codec: Its name.
        missing: Seconds by which the file ends before the end that its header states.
    """

    times: Sequence[int]
    last: int
    time_base: Fraction
    keys: Sequence[tuple[int, int]] | None
    codec: str
    missing: float

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last."""
        return float((self.times[-1] + self.last - self.times[0]) * self.time_base)

    def seconds_at(self, index: int) -> float:
        """From the first frame to this one; past the last one, to its end."""
        if index == len(self.times):
            return self.seconds
        return float((self.times[index] - self.times[0]) * self.time_base)

    @property
    def written_base(self) -> Fraction:
        """Seconds of a tick in which a file can hold every gap: ``time_base``, or a multiple."""
        ends = [*self.times[1:], self.times[-1] + self.last]
        longest = max(end - time for time, end in zip(self.times, ends, strict=True))
        return self.time_base * (longest // MOST_TICKS + 1)

    def key_before(self, index: int) -> int | None:
        """Where to seek, in ticks, to decode this frame; None is the beginning."""
        keys = self.keys or ()
        number = bisect_right(keys, self.times[index], key=lambda key: key[0]) - 1
        return keys[number][1] if number > 0 else None


class _Stamp(NamedTuple):
    """Of a packet: when its frame is shown and decoded, and for how long; all in ticks."""

    shown: int | None
    decoded: int | None
    duration: int
    is_key: bool
    size: int


class _Scan(NamedTuple):
    """What can be known of a video without decoding.

    ``step`` is how long a frame is shown if nothing says so for this one, and ``num_lost`` how
    many frames the file lists, but ends before.
    """

    kind: str
    codec: str
    time_base: Fraction
    can_reorder: bool
    stamps: list[_Stamp]
    step: int
    num_lost: int
    stated_seconds: float


def read_timeline(path: Path) -> Timeline:
    """Read the timestamps of all frames; decode only if the packets' do not tell frames apart.

    Raises:
        UnreadableError: The file is no video, or has no frame.
    """
    scan = _scan(path)
    step, is_exact = scan.step, _tell_apart(scan)
    times = sorted(_known(scan.stamps)) if is_exact else _counted(path, scan)
    if not times:
        raise UnreadableError(f"no frame of it can be decoded (codec {scan.codec})")
    durations = {stamp.shown: stamp.duration for stamp in scan.stamps}
    last = step if scan.num_lost else durations.get(times[-1]) or step
    times += [times[-1] + step * number for number in range(1, scan.num_lost + 1)]
    end = float((times[-1] + last) * scan.time_base)
    keys = _keys(scan) if is_exact else None
    missing = max(0.0, scan.stated_seconds - end)
    return Timeline(times, last, scan.time_base, keys, scan.codec, missing)


def _scan(path: Path) -> _Scan:
    with opened(path) as video:
        container, stream = video
        stamps = list(_stamps(video))
        return _Scan(
            container.format.name.split(",")[0], stream.codec_context.name, _tick(stream),
            stream.codec_context.has_b_frames, stamps, _step(stream, stamps),
            _num_lost(stream, path.stat().st_size), _stated_seconds(container),
        )  # fmt: skip


def _stamps(video: Video) -> Iterator[_Stamp]:
    for packet in packets(video):
        if not packet.is_discard:  # what an edit list cuts away is decoded, but not shown
            duration = packet.duration or 0
            yield _Stamp(packet.pts, packet.dts, duration, packet.is_keyframe, packet.size)


def _step(stream: VideoStream, stamps: Sequence[_Stamp]) -> int:
    by_rate = round(1 / (stream.average_rate or UNKNOWN_RATE) / _tick(stream))
    return next((s.duration for s in reversed(stamps) if s.duration > 0), max(1, by_rate))


def _tick(stream: VideoStream) -> Fraction:
    return Fraction(stream.time_base or 1)


def _num_lost(stream: VideoStream, size: int) -> int:
    return sum(entry.pos >= size and not entry.is_discard for entry in stream.index_entries)


def _stated_seconds(container: InputContainer) -> float:
    """The end of the video by the header; 0 if that is ffmpeg's guess, or may be the sound's."""
    if "matroska" not in container.format.name or len(container.streams) > 1:
        return 0
    return (container.duration or 0) / 1e6


def _tell_apart(scan: _Scan) -> bool:
    """Whether the times of the packets are those of their frames."""
    shown = _known(scan.stamps)
    if not _are_distinct(shown, len(scan.stamps)) or _share_packs(scan) or _starts_over(scan):
        return False
    # AVI has no times: ffmpeg numbers its packets in the order of decoding.
    return not (scan.kind == "avi" and scan.can_reorder and shown == sorted(shown))


def _known(stamps: Sequence[_Stamp]) -> list[int]:
    return [stamp.shown for stamp in stamps if stamp.shown is not None]


def _are_distinct(known: Sequence[int], count: int) -> bool:
    return len(set(known)) == count


def _share_packs(scan: _Scan) -> bool:
    """Whether most frames share a time with others: in MPEG, only packs have one."""
    num_small = sum(stamp.size < PACK for stamp in scan.stamps)
    return scan.kind == "mpeg" and num_small > len(scan.stamps) / 2


def _starts_over(scan: _Scan) -> bool:
    """Whether times go back where files were joined, also if no two frames have the same."""
    order = [s.decoded if s.decoded is not None else s.shown for s in scan.stamps]
    known = [time for time in order if time is not None]
    return scan.kind in JOINABLE and known != sorted(known)


def _keys(scan: _Scan) -> list[tuple[int, int]]:
    if scan.kind not in INDEXED:
        return []
    return sorted(
        (s.shown, s.shown if s.decoded is None else min(s.decoded, s.shown))
        for s in scan.stamps
        if s.is_key and s.shown is not None
    )


def _counted(path: Path, scan: _Scan) -> list[int]:
    """Decode all frames, and give them increasing times."""
    with opened(path) as video:
        frames = [(time, frame.duration if frame else 0) for time, frame in decoded(video)]
    shown = [time for time, _ in frames if time is not None]
    share_packs = _share_packs(scan)
    if _are_distinct(shown, len(frames)) and not share_packs and not _starts_over(scan):
        return sorted(shown)
    jitter = round(JITTER / scan.time_base)
    times: list[int] = []
    expected, shift = shown[0] if shown else 0, 0
    for time, duration in frames:
        now = expected if time is None else time + shift
        if now < expected - jitter:  # times start over, as in files that were joined
            shift, now = shift + expected - now, expected
        if share_packs and now < expected + jitter:
            now = expected
        times.append(max(now, times[-1] + 1) if times else now)
        expected = times[-1] + (duration or scan.step)
    return times

"""Times and counts of frames are those of their timestamps, whatever the format."""

from bisect import bisect_left
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import pytest
from small_videos import encode, number_in

from derain_plugin.apis.video import VideoFile, VideoReader
from derain_plugin.apis.video_stream import decoded
from derain_plugin.apis.video_times import read_timeline
from derain_plugin.rain.images import UnreadableError

MS = Fraction(1, 1000)
VARIABLE = [*range(0, 990, 33), 1000, 1500, 2500, 2533, 2566, 2600]
REGULAR = list(range(36))
B_FRAMES = {"bf": "2", "g": "9"}
OPEN_GOP = {"g": "8", "x264-params": "open-gop=1:bframes=3"}
FORMATS = {
    "variable.mp4": (VARIABLE, dict(time_base=MS, options=dict(g="8"))),
    "variable.mkv": (VARIABLE, dict(time_base=MS, options=dict(g="8"))),
    "vp8.webm": (VARIABLE, dict(time_base=MS, codec="libvpx")),
    "vp9.webm": (VARIABLE, dict(time_base=MS, codec="libvpx-vp9")),
    "av1.webm": (VARIABLE, dict(time_base=MS, codec="libsvtav1", options=dict(preset="12"))),
    "hevc.mkv": (VARIABLE, dict(time_base=MS, codec="libx265", pix_fmt="yuv420p10le")),
    "open.mp4": (REGULAR, dict(options=OPEN_GOP)),
    "mpeg1.mpeg": (REGULAR, dict(codec="mpeg1video", options=B_FRAMES)),
    "mpeg2.mpg": (REGULAR, dict(codec="mpeg2video")),
    "plain.mpg": (REGULAR, dict(codec="mpeg2video", is_marked=False)),
    "plain_b.mpg": (REGULAR, dict(codec="mpeg2video", is_marked=False, options=dict(bf="2"))),
    "mpeg2_b.mpg": (REGULAR, dict(codec="mpeg2video", options=B_FRAMES)),
    "h264.ts": (REGULAR, dict(options=dict(g="8"))),
    "112.avi": (
        REGULAR, dict(time_base=Fraction(1000, 112871), codec="mjpeg", pix_fmt="yuvj420p")
    ),
    "b_frames.avi": (REGULAR, dict(options=dict(g="8"))),
    "mpeg4.avi": (REGULAR, dict(codec="mpeg4", options=B_FRAMES)),
    "starts_late.mp4": (range(45, 81), dict(options=dict(g="8"))),
    "sound_first.mp4": (range(15, 51), dict(sound="aac", options=dict(g="8"))),
    "sound_first.webm": (REGULAR, dict(sound="libopus", codec="libvpx-vp9")),
    "grey.mkv": (REGULAR, dict(codec="ffv1", pix_fmt="gray")),
    "16_bits_of_grey.mkv": (REGULAR, dict(codec="ffv1", pix_fmt="gray16le")),
    "transparent.mov": (REGULAR, dict(codec="qtrle", pix_fmt="argb")),
    "10_bits.mp4": (REGULAR, dict(pix_fmt="yuv420p10le")),
}  # fmt: skip


@pytest.fixture(scope="module", params=FORMATS)
def video(request, tmp_path_factory):
    """A video, and the times of its frames in seconds."""
    ticks, options = FORMATS[request.param]
    path = encode(tmp_path_factory.mktemp("videos") / request.param, ticks, **options)
    time_base = options.get("time_base", Fraction(1, 30))
    return path, [float((tick - ticks[0]) * time_base) for tick in ticks]


def test_each_frame_has_its_time(video):
    path, times = video
    frames = list(VideoReader(path))
    assert [frame.seconds for frame in frames] == pytest.approx(times, abs=6e-4)
    assert [frame.index for frame in frames] == list(range(len(times)))
    assert [number_in(frame.image) for frame in frames] == list(range(len(times)))
    gaps = [after - before for before, after in pairwise(times)]
    assert [frame.duration for frame in frames[:-1]] == pytest.approx(gaps, abs=1.1e-3)
    assert len(VideoReader(path)) == len(times)


@pytest.mark.parametrize(
    ("first", "stop"), [(30, 32), (1, 2), (13, 17), (7, 8), (34, 36), (35, 36)]
)
def test_a_window_holds_the_frames_of_its_times(video, first, stop):
    path, times = video
    window = dict(start=times[first], end=times[stop] if stop < len(times) else None)
    frames = list(VideoReader(path, **window))
    assert [frame.index for frame in frames] == list(range(first, stop))
    assert [number_in(frame.image) for frame in frames] == list(range(first, stop))
    assert frames[0].seconds == pytest.approx(times[first], abs=6e-4)


def test_a_second_of_a_variable_rate_is_a_second(tmp_path):
    path = encode(tmp_path / "drive.mp4", VARIABLE, time_base=MS)
    frames = list(VideoReader(path, start=1, end=2.2))
    assert [(frame.index, frame.seconds) for frame in frames] == [(30, 1.0), (31, 1.5)]


def test_mpeg_2_keeps_its_last_frames(tmp_path):
    path = encode(tmp_path / "drive.mpg", range(42), codec="mpeg2video", options=B_FRAMES)
    assert len(list(VideoReader(path))) == 42
    assert [frame.index for frame in VideoReader(path, start=1.3)] == [39, 40, 41]


@pytest.mark.parametrize(("name", "codec"), [("a.mpg", "mpeg2video"), ("a.ts", "libx264")])
def test_parts_that_were_joined_are_one_video(tmp_path, name, codec):
    path = encode(tmp_path / name, range(20), codec=codec)
    path.write_bytes(2 * path.read_bytes())
    frames = list(VideoReader(path))
    assert [number_in(frame.image) for frame in frames] == 2 * list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx([i / 30 for i in range(40)])
    later = list(VideoReader(path, start=25 / 30, end=27 / 30))
    assert [(frame.index, number_in(frame.image)) for frame in later] == [(25, 5), (26, 6)]


@pytest.mark.parametrize("offset", [1, 7])
def test_parts_whose_times_mingle_follow_each_other(tmp_path, offset):
    tick, path = Fraction(1, 60), tmp_path / "drive.ts"
    first, then = (
        encode(tmp_path / f"{start}.ts", range(start, start + 40, 2), time_base=tick).read_bytes()
        for start in (0, offset)
    )
    path.write_bytes(first + then)
    frames = list(VideoReader(path))
    assert [number_in(frame.image) for frame in frames] == 2 * list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx(
        [i / 30 for i in range(40)], abs=0.02
    )


def test_a_gap_of_hours_is_written(tmp_path):
    hour = 30 * 3600
    path = encode(tmp_path / "late.ts", [0, 1, 10 * hour, 10 * hour + 1])
    reader = VideoReader(path)
    with VideoFile(tmp_path / "out.mp4", time_base=reader.time_base) as video:
        for frame in reader:
            video.write(frame.image, seconds=frame.seconds, duration=frame.duration)
    written = [frame.seconds for frame in VideoReader(tmp_path / "out.mp4")]
    assert written == pytest.approx([0, 1 / 30, 36000, 36000 + 1 / 30], abs=1e-3)


def test_what_an_edit_list_cuts_away_is_no_frame(tmp_path):
    path = encode(tmp_path / "drive.mp4", range(-5, 25), options=dict(g="8"))
    frames = list(VideoReader(path))
    assert [number_in(frame.image) for frame in frames] == list(range(5, 30))
    assert [frame.seconds for frame in frames] == pytest.approx([i / 30 for i in range(25)])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mpg", "a.avi"])
def test_a_single_frame_is_a_video(tmp_path, name):
    codec = "mpeg2video" if name == "a.mpg" else "mpeg4"
    reader = VideoReader(encode(tmp_path / name, [0], codec=codec), start=0)
    (frame,) = reader
    assert (frame.index, frame.seconds) == (0, 0)
    assert frame.duration == pytest.approx(1 / 30, abs=1e-3)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def test_frames_that_a_file_lists_but_ends_before_are_broken(tmp_path):
    options = dict(codec="mjpeg", pix_fmt="yuvj420p")
    whole = encode(tmp_path / "drive.avi", REGULAR, **options)
    path = tmp_path / "drive.mp4"
    remux(whole, path)
    frames = list(VideoReader(cut(path, 0.6)))
    assert len(frames) == 36
    numbers = [frame.index for frame in frames if frame.image is not None]
    assert numbers == list(range(len(numbers)))
    assert 18 < len(numbers) < 24
    assert frames[35].seconds == pytest.approx(35 / 30)
    assert frames[30].image is None


def remux(source, target):
    """Copy the frames into an ``.mp4`` whose list of frames comes first."""
    options = dict(movflags="faststart")
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)


@pytest.mark.parametrize("name", ["drive.mkv", "drive.mpg", "drive.ts", "drive.avi"])
def test_what_is_there_of_a_file_without_a_list_is_read(tmp_path, name):
    codec = "mpeg2video" if name == "drive.mpg" else "mpeg4"
    path = encode(tmp_path / name, range(42), codec=codec)
    reader = VideoReader(cut(path, 0.9 if name == "drive.avi" else 0.6))
    shown = [frame.index for frame in reader if frame.image is not None]
    assert shown == list(range(len(shown)))
    assert 10 < len(shown) < 42
    assert len(reader) - len(shown) <= 1  # the one in which it ends


def test_a_frame_that_the_decoder_calls_corrupt_is_none():
    frames = [SimpleNamespace(pts=pts, is_corrupt=pts == 1) for pts in range(3)]
    packets = [SimpleNamespace(size=1, decode=lambda frame=frame: [frame]) for frame in frames]
    container = SimpleNamespace(demux=lambda stream: packets)
    video = container, SimpleNamespace(decode=lambda packet: [])
    assert list(decoded(video)) == [(0, frames[0]), (1, None), (2, frames[2])]


def test_formats_without_an_index_are_decoded_from_their_beginning(tmp_path):
    path = encode(tmp_path / "drive.ts", REGULAR, options=dict(g="8"))
    assert read_timeline(path).key_before(30) is None


def test_says_how_much_a_matroska_file_lacks(tmp_path):
    path = encode(tmp_path / "drive.mkv", range(0, 3600, 100), time_base=MS, codec="mpeg4")
    assert read_timeline(path).missing == 0
    assert read_timeline(cut(path, 0.5)).missing > 1


def test_key_frames_are_where_decoding_starts(tmp_path):
    timeline = read_timeline(encode(tmp_path / "a.mkv", REGULAR, options=dict(g="8", bf="0")))
    at = bisect_left(timeline.times, 1000)
    assert timeline.key_before(at) == timeline.times[24]
    assert timeline.key_before(7) is None


def test_refuses_what_has_no_decoder_by_the_name_of_its_codec(tmp_path):
    path = encode(tmp_path / "drive.mp4", range(3))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xyz1"))
    with pytest.raises(
        UnreadableError, match=r"no decoder for its codec, none \(xyz1 / .*ffmpeg -i"
    ):
        VideoReader(path)


def test_refuses_sound_alone(tmp_path):
    path = encode(tmp_path / "a.mp4", [], sound="aac")
    with pytest.raises(UnreadableError, match="not a video: it holds audio"):
        VideoReader(path)


def test_tags_need_not_be_utf_8_and_a_name_may_have_a_colon(tmp_path):
    path = encode(tmp_path / "12:30.mp4", range(3), title="caf\u00e9")
    path.write_bytes(path.read_bytes().replace("caf\u00e9".encode(), b"caf\xe9\xe9"))
    assert len(list(VideoReader(path))) == 3

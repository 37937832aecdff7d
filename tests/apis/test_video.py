"""Videos: the frames of a part, and files that appear whole."""

import errno
from fractions import Fraction

import cv2
import numpy as np
import pytest
from small_videos import STEP, encode, frame_numbers, frame_times, write_video

from derain_plugin.apis.video import VideoFile, VideoReader
from derain_plugin.rain.images import UnreadableError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "drive.avi", 20)


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        ({}, 0, 19),
        (dict(start=0.7), 7, 19),
        (dict(end=0.7), 0, 6),
        (dict(start=1.1, end=1.4), 11, 13),
        (dict(start=0.31, end=0.51), 4, 5),
        (dict(start=0, end=2), 0, 19),
    ],
)
def test_reads_the_frames_of_a_window(video, window, first, last):
    reader = VideoReader(video, **window)
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(first, last + 1))
    assert len(reader) == len(frames)
    for frame in frames:
        assert frame.image.shape == (64, 96, 3)
        assert frame.image.mean() / STEP == pytest.approx(frame.index, abs=0.5)
        assert frame.seconds == pytest.approx(frame.index / 10)


def test_a_rounding_error_skips_no_frame(tmp_path):
    path = write_video(tmp_path / "drive.avi", 16, fps=25)
    assert 0.28 * 25 > 7
    assert [frame.index for frame in VideoReader(path, start=0.28, end=0.56)] == [*range(7, 14)]


def test_seeks_exactly_between_key_frames(tmp_path):
    frames = VideoReader(write_video(tmp_path / "drive.mp4", 30), start=1.7)
    assert next(iter(frames)).image.mean() / STEP == pytest.approx(17, abs=0.9)


def test_broken_frames_keep_their_place(tmp_path):
    path = write_video(tmp_path / "drive.avi", 12, broken=(3, 4))
    frames = list(VideoReader(path))
    assert [frame.index for frame in frames if frame.image is None] == [3, 4]
    assert frames[5].image.mean() / STEP == pytest.approx(5, abs=0.5)
    assert len(frames) == 12


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (dict(start=2.5), "start 2.5 s is outside .*drive.avi, which has 2 s"),
        (dict(end=3), "end 3 s is outside .*which has 2 s"),
        (dict(start=-1), "start -1 s is outside"),
        (dict(start=2), "no frame from 2 s to 2 s"),
        (dict(start=0.51, end=0.55), "no frame from 0.51 s to 0.55 s"),
    ],
)
def test_refuses_a_window_without_frames(video, window, message):
    with pytest.raises(ValueError, match=message):
        VideoReader(video, **window)


@pytest.mark.parametrize("content", [b"", b"not a video"])
def test_refuses_what_is_no_video(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UnreadableError, match="not a video"):
        VideoReader(tmp_path / "a.mp4")


def write(path, num_frames, error=None):
    was_there = path.exists()
    with VideoFile(path, time_base=Fraction(2, 25)) as video:
        for index in range(num_frames):
            video.write(
                np.full((64, 96, 3), STEP * index, np.uint8), seconds=index * 0.08, duration=0.08
            )
            assert path.exists() == was_there
        if error is not None:
            raise error


def test_is_there_at_the_end(tmp_path):
    path = tmp_path / "deep/drive.mp4"
    write(path, 5)
    assert [file.name for file in path.parent.iterdir()] == ["drive.mp4"]
    assert frame_numbers(path) == list(range(5))
    assert frame_times(path) == pytest.approx([0, 0.08, 0.16, 0.24, 0.32, 0.4])


def test_ctrl_c_leaves_a_shorter_video(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "drive.mp4", 3, KeyboardInterrupt())
    assert frame_numbers(tmp_path / "drive.mp4") == [0, 1, 2]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="full"):
        write(tmp_path / "drive.mp4", 3, ValueError("full"))
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_an_older_file(tmp_path):
    (tmp_path / "drive.mp4").write_text("old")
    with pytest.raises(ValueError, match="full"):
        write(tmp_path / "drive.mp4", 3, ValueError("full"))
    assert (tmp_path / "drive.mp4").read_text() == "old"


def test_without_frames_there_is_no_file(tmp_path):
    write(tmp_path / "drive.mp4", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_flipped", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_frames_are_upright(tmp_path, degrees, is_flipped):
    path = encode(tmp_path / "phone.mp4", [0], rotation=(degrees, is_flipped))
    (frame,) = VideoReader(path)
    mark = np.zeros((64, 96), np.uint8)
    mark[:16, :24] = 1
    expected = np.rot90(mark, degrees // 90)  # both turn against the clock
    expected = np.fliplr(expected) if is_flipped else expected
    assert frame.image.shape[:2] == expected.shape
    np.testing.assert_array_equal(frame.image[..., 0] > 128, expected > 0)


def test_frames_are_as_upright_as_opencv_has_them(tmp_path):
    path = encode(tmp_path / "phone.mp4", [0], rotation=(90, False))
    (frame,) = VideoReader(path)
    _, expected = cv2.VideoCapture(str(path)).read()
    assert np.abs(frame.image.astype(int) - expected).max() <= 3


@pytest.mark.parametrize(
    "time_base",
    [Fraction(1000, rate) for rate in (112871, 211222, 239761)]
    + [
        Fraction(1001, 30000),
        Fraction(1, 90000),
        Fraction(1, 10**7),
        Fraction(1, 1),
        Fraction(7, 3),
    ],
)
def test_keeps_the_times_of_any_rate(tmp_path, time_base):
    times = [float(tick * time_base) for tick in (5, 6, 7, 9, 10, 30, 31)]
    with VideoFile(tmp_path / "drive.mp4", time_base=time_base) as video:
        for seconds in times[:-1]:
            image = np.zeros((64, 96, 3), np.uint8)
            video.write(image, seconds=seconds, duration=float(time_base))
    expected = [seconds - times[0] for seconds in times]
    assert frame_times(tmp_path / "drive.mp4") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((65, 97), (64, 96)),
        ((4, 9000), (4, 9000)),
        ((9000, 4), (9000, 4)),
        ((40, 32768), (20, 16384)),
        ((1, 320), (2, 320)),
    ],
)
def test_writes_any_size(tmp_path, shape, expected):
    with VideoFile(tmp_path / "drive.mp4", time_base=Fraction(1, 10)) as video:
        video.write(np.zeros((*shape, 3), np.uint8), seconds=0, duration=0.1)
    (frame,) = VideoReader(tmp_path / "drive.mp4")
    assert frame.image.shape[:2] == expected


def test_a_change_of_size_ends_no_video(tmp_path):
    with VideoFile(tmp_path / "drive.mp4", time_base=Fraction(1, 10)) as video:
        for index, side in enumerate((64, 128, 50)):
            image = np.full((side, 2 * side, 3), STEP * index, np.uint8)
            video.write(image, seconds=index / 10, duration=0.1)
    assert frame_numbers(tmp_path / "drive.mp4") == [0, 1, 2]


def test_a_full_disk_leaves_nothing_and_is_named(tmp_path, monkeypatch):
    def fill(video, frame):
        with video._errors_named():
            raise OSError(errno.ENOSPC, "No space left on device")

    def write_until_full():
        with VideoFile(tmp_path / "drive.mp4", time_base=Fraction(1, 10)) as video:
            video.write(np.zeros((64, 96, 3), np.uint8), seconds=0, duration=0.1)
            monkeypatch.setattr(VideoFile, "_encode", fill)  # what is still to be written

    with pytest.raises(OSError, match=r"make room in .*drive.mp4"):
        write_until_full()
    assert not list(tmp_path.iterdir())


def test_ctrl_c_before_the_first_frame_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("derain_plugin.apis.video._fitted", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "drive.mp4", 1)
    assert not list(tmp_path.iterdir())


def test_says_where_it_cannot_write(tmp_path):
    (tmp_path / "drive.mp4.partial").mkdir()
    with pytest.raises(OSError, match=r"cannot write: Is a directory: .*drive.mp4"):
        write(tmp_path / "drive.mp4", 1)

"""Videos: the frames of a part, and files that appear whole."""

from fractions import Fraction

import numpy as np
import pytest
from small_videos import STEP, frame_numbers, write_video

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
    assert reader.fps == 10
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
    assert VideoReader(path).fps == pytest.approx(12.5)


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


def test_says_that_it_cannot_write(tmp_path):
    too_wide = np.zeros((4, 9000, 3), np.uint8)  # for MPEG-4
    with (
        pytest.raises(OSError, match=r"cannot write .*drive.partial.mp4 \(9000x4 px, mp4v\)"),
        VideoFile(tmp_path / "drive.mp4", fps=10) as video,
    ):
        video.write(too_wide)
    assert not list(tmp_path.iterdir())

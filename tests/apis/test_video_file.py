import numpy as np
import pytest
from small_videos import STEP, frame_numbers

from derain_plugin.apis.video_file import VideoFile
from derain_plugin.apis.video_reader import VideoReader


def write(path, num_frames, error=None):
    was_there = path.exists()
    with VideoFile(path, fps=12.5) as video:
        for index in range(num_frames):
            video.write(np.full((64, 96, 3), STEP * index, np.uint8))
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

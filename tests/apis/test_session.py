"""What is left of broken inputs and after Ctrl-C; the detector here is a stand-in."""

import errno
import json
from fractions import Fraction
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from small_videos import encode, frame_numbers, frame_times, write_video

from derain_plugin.apis import CocoDetections, Session, Source

LONG = (("good.png", ".png"), ("drive.avi", ".mp4"))
NOTHING = InstanceData(
    bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long)
)


class Copier:
    """Copies images, and gets Ctrl-C after so many."""

    def __init__(self, stop_after=None):
        self.detectors, self.seconds = [SimpleNamespace(name="copier")], [0.0]
        self.left = stop_after

    def annotate(self, image):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = self.left and self.left - 1
        self.seconds[0] += 0.001
        return image.copy(), NOTHING


@pytest.fixture
def files(tmp_path):
    cv2.imwrite(str(tmp_path / "good.png"), np.full((20, 30, 3), 77, np.uint8))
    (tmp_path / "bad.jpg").write_text("not an image")
    (tmp_path / "bad.mp4").write_text("not a video")
    write_video(tmp_path / "drive.avi", 10, broken=(2, 5, 6))
    write_video(tmp_path / "dark.avi", 3, broken=(0, 1, 2))
    return tmp_path


def sources(folder, *names):
    return [Source(folder / name, folder / "out" / name.replace(".avi", ".mp4")) for name in names]


def run(sources, *, stop_after=None, window=(None, None)):
    detections = CocoDetections(("square",), info={})
    session = Session(Copier(stop_after), detections)
    if stop_after is None:
        session.run(sources, window=window)
    else:
        with pytest.raises(KeyboardInterrupt):
            session.run(sources, window=window)
    return session, detections


def images_of(detections, folder):
    detections.write(folder / "found.json")
    return json.loads((folder / "found.json").read_text())["images"]


def test_skips_what_is_broken_and_goes_on(files, capsys):
    names = ("bad.jpg", "bad.mp4", "drive.avi", "good.png")
    session, detections = run(sources(files, *names))
    assert sorted(p.name for p in (files / "out").iterdir()) == ["drive.mp4", "good.png"]
    assert frame_numbers(files / "out/drive.mp4") == [0, 1, 3, 4, 7, 8, 9]
    assert (cv2.imread(str(files / "out/good.png")) == 77).all()
    assert (session.num_images, session.num_frames) == (1, 7)
    assert (session.num_broken_files, session.num_broken_frames) == (2, 3)
    out, err = capsys.readouterr()
    assert f"skipped {files / 'bad.jpg'}: not an image" in err
    assert f"skipped {files / 'bad.mp4'}: not a video" in err
    assert f"skipped 3 frames of {files / 'drive.avi'} that cannot be decoded: 2, 5-6" in err
    assert "drive.mp4: 7 frames, per second: detector copier 1000.0; with reading" in out
    images = images_of(detections, files)
    assert [image.get("frame_index") for image in images] == [0, 1, 3, 4, 7, 8, 9, None]


def test_a_video_without_a_good_frame_is_a_broken_file_of_a_codec(files, capsys):
    session, _ = run(sources(files, "dark.avi", "good.png"))
    assert [path.name for path in (files / "out").iterdir()] == ["good.png"]
    assert (session.num_broken_files, session.num_broken_frames) == (1, 0)
    assert "dark.avi: none of its 3 frames can be decoded (codec mjpeg)" in capsys.readouterr().err


def test_what_cannot_be_written_ends_no_other(files, capsys):
    long = [Source(files / name, files / "out" / ("x" * 251 + suffix)) for name, suffix in LONG]
    session, _ = run([*long, *sources(files, "drive.avi", "good.png")])
    assert sorted(path.name for path in (files / "out").iterdir()) == ["drive.mp4", "good.png"]
    assert (session.num_images, session.num_frames, session.num_broken_files) == (1, 7, 2)
    assert capsys.readouterr().err.count("File name too long") == 2


def test_a_full_disk_ends_all(files, monkeypatch):
    def fill(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("derain_plugin.apis.session.atomic_write", fill)
    with pytest.raises(OSError, match="No space left"):
        run(sources(files, "good.png", "drive.avi"))
    assert not list((files / "out").iterdir())


def test_broken_frames_leave_the_others_their_times(files):
    run(sources(files, "drive.avi"))
    times = frame_times(files / "out/drive.mp4")
    assert times == pytest.approx([0, 0.1, 0.3, 0.4, 0.7, 0.8, 0.9, 1])


def test_says_that_a_file_ends_early(files, capsys):
    encode(files / "a.mkv", range(0, 90, 3), codec="mpeg4")
    content = (files / "a.mkv").read_bytes()
    (files / "a.mkv").write_bytes(content[: len(content) // 2])
    run([Source(files / "a.mkv", files / "out/a.mp4")])
    assert "s before the end that its header states: it may be cut off" in capsys.readouterr().err


def test_ctrl_c_in_a_video_leaves_whole_files(files):
    session, detections = run(sources(files, "good.png", "drive.avi"), stop_after=4)
    assert sorted(p.name for p in (files / "out").iterdir()) == ["drive.mp4", "good.png"]
    assert frame_numbers(files / "out/drive.mp4") == [0, 1, 3]
    assert (session.num_images, session.num_frames, session.num_broken_frames) == (1, 3, 1)
    assert len(images_of(detections, files)) == 4


def test_a_window_outside_of_a_video_stops_before_any_work(files):
    with pytest.raises(ValueError, match="start 5 s is outside"):
        run(sources(files, "good.png", "drive.avi"), window=(5.0, None))
    assert not (files / "out").exists()


def test_seconds_of_a_variable_rate_are_those_of_its_timestamps(files):
    ticks = [*range(0, 990, 33), 1000, 1500, 2500, 2533]
    encode(files / "a.mkv", ticks, time_base=Fraction(1, 1000))
    _, detections = run([Source(files / "a.mkv", files / "out/a.mp4")], window=(0.95, 2.51))
    found = [(image["frame_index"], image["seconds"]) for image in images_of(detections, files)]
    assert found == [(29, 0.957), (30, 1.0), (31, 1.5), (32, 2.5)]
    assert frame_numbers(files / "out/a.mp4") == [29, 30, 31, 32]
    assert frame_times(files / "out/a.mp4") == pytest.approx([0, 0.043, 0.543, 1.543, 1.576])


def test_a_window_is_for_videos_only(files):
    session, _ = run(sources(files, "good.png", "drive.avi"), window=(0.3, 0.5))
    assert (session.num_images, session.num_frames) == (1, 2)


def test_a_image_too_large_for_its_format_is_skipped(files, capsys):
    cv2.imwrite(str(files / "wide.png"), np.zeros((1, 70000, 3), np.uint8))
    session, _ = run([Source(files / "wide.png", files / "out/wide.jpg")])
    assert session.num_broken_files == 1
    assert "70000x1 pixels cannot be written as .jpg" in capsys.readouterr().err
    assert not (files / "out").exists()

"""``tools/infer.py`` with tiny detectors, on real photos and a video that the test writes."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from tiny_rtdetr import TINY

from derain_plugin.apis import Session
from derain_plugin.cli import infer as infer_cli

FEW = ["--cfg-options", "image_size=64", "model.test_cfg.max_per_img=3"]
PLAIN = "_base_ = {base!r}\nmodel = dict(backbone={tiny}, neck={tiny}, bbox_head={tiny})\n"


@pytest.fixture(scope="module")
def plain_config(tmp_path_factory):
    """The vanilla detector of the same weights."""
    path = tmp_path_factory.mktemp("config") / "tiny_vanilla.py"
    base = str(Path(__file__).parents[2] / "configs/rtdetr_r18_coco.py")
    path.write_text(PLAIN.format(base=base, tiny=TINY))
    return str(path)


@pytest.fixture(scope="module")
def inputs(coco_root, tmp_path_factory):
    """Two photos in two folders, of the same name, and a video of 12 frames."""
    folder = tmp_path_factory.mktemp("inputs")
    photos = sorted((coco_root / "val2017").iterdir())
    for photo, name in zip(photos, ("a/x.jpg", "b/x.jpg"), strict=False):
        (folder / name).parent.mkdir()
        shutil.copy(photo, folder / name)
    frame = cv2.imread(str(photos[0]))
    writer = cv2.VideoWriter(
        str(folder / "drive.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, frame.shape[1::-1]
    )
    for index in range(12):
        writer.write(np.roll(frame, 10 * index, axis=1))
    writer.release()
    return folder


@pytest.fixture
def infer(config, weights, tmp_path):
    """Run the tool; every detection counts, three of each image."""

    def run(*arguments, config=config):
        arguments = [str(argument) for argument in arguments]
        out = ["--out-dir", str(tmp_path / "out"), "--score-thr", "0", "--device", "cpu"]
        infer_cli.main([config, weights, *arguments, *out, *FEW])

    return run


def outputs(tmp_path):
    return {
        path.relative_to(tmp_path / "out").as_posix(): path
        for path in (tmp_path / "out").glob("**/*")
        if path.is_file()
    }


def test_images_and_a_video_with_json(infer, inputs, tmp_path, capsys):
    infer(inputs / "*/x.jpg", inputs, "--json", tmp_path / "found.json", "--start", 0.35)
    assert set(outputs(tmp_path)) == {"x.jpg", "x_2.jpg", "drive.mp4"}
    video = cv2.VideoCapture(str(outputs(tmp_path)["drive.mp4"]))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (8, 10)
    photo, painted = (cv2.imread(str(p)) for p in (inputs / "a/x.jpg", tmp_path / "out/x.jpg"))
    assert painted.shape[0] == 2 * photo.shape[0]  # 160 px are enlarged
    truth = COCO(str(tmp_path / "found.json"))
    images = truth.dataset["images"]
    assert [image.get("frame_index") for image in images] == [None, None, *range(4, 12)]
    assert images[2]["seconds"] == 0.4
    assert (images[0]["height"], images[0]["width"]) == photo.shape[:2]
    assert Path(images[0]["file_name"]) == inputs / "a/x.jpg"
    assert len(truth.getAnnIds()) == 3 * len(images)
    assert len(truth.loadRes(truth.dataset["annotations"]).getAnnIds()) == 3 * len(images)
    assert truth.dataset["info"]["score_thr"] == 0
    out = capsys.readouterr().out
    assert "2 images and 8 frames annotated; skipped 0 files and 0 frames" in out
    assert "8 frames, per second: detector tiny_featderain" in out


def test_masks_and_another_detector_below(infer, inputs, plain_config, weights, tmp_path):
    infer(inputs / "a/x.jpg", "--masks", "--compare", plain_config, weights)
    both = cv2.imread(str(tmp_path / "out/x.jpg"))
    infer(inputs / "a/x.jpg", "--masks", "--overwrite")
    alone = cv2.imread(str(tmp_path / "out/x.jpg"))
    assert alone.shape[1] > 4 * 320
    assert both.shape[1] == alone.shape[1]
    assert len(both) > len(alone) + 320
    assert (both[-300:, 700:] > 250).all()  # the plain one has no masks


def test_two_detectors_beside_each_other(infer, inputs, plain_config, config, weights, tmp_path):
    shutil.copy(inputs / "a/x.jpg", tmp_path / "x.jpg")
    image = Image.open(tmp_path / "x.jpg")
    image.save(tmp_path / "x.png")
    infer(tmp_path / "x.png", "--compare", config, weights, config=plain_config)
    both = cv2.imread(str(tmp_path / "out/x.png"))
    height, width = 2 * image.height, 2 * image.width
    assert both.shape[1] == 2 * width + 4
    left, right = both[-height:, :width], both[-height:, width + 4 :]
    np.testing.assert_array_equal(left, right)  # a fresh neck is the identity
    titles = both[:-height, :width], both[:-height, width + 4 :]
    assert (titles[0] != titles[1]).any()


def test_only_the_classes_that_are_named(infer, inputs, tmp_path):
    infer(inputs / "a/x.jpg", "--json", tmp_path / "all.json")
    every = json.loads((tmp_path / "all.json").read_text())
    found = {annotation["category_id"] for annotation in every["annotations"]}
    other = next(c["name"] for c in every["categories"] if c["id"] not in found)
    rest = [inputs / "a/x.jpg", "--overwrite", "--classes", other]
    infer(*rest, "--json", tmp_path / "one.json")
    assert found
    assert not json.loads((tmp_path / "one.json").read_text())["annotations"]
    with pytest.raises(SystemExit, match="tiny_featderain has no class 'tram'; its classes are"):
        infer(*rest, "tram")


def test_two_checkpoints_of_a_config_are_told_apart(config, weights):
    other = Path(weights.removeprefix("hf://")).parent / "phase_2.pth"
    names = infer_cli.titles([(config, weights), (config, str(other))])
    assert names == ["tiny_featderain, " + Path(weights).name, "tiny_featderain, phase_2.pth"]
    assert infer_cli.titles([(config, weights), ("b/a.py", "a.pth")]) == ["tiny_featderain", "a"]


def test_turned_photos_are_upright_everywhere(infer, inputs, tmp_path):
    photo = Image.open(inputs / "b/x.jpg")
    exif = photo.getexif()
    exif[0x0112] = 6  # a quarter turn
    photo.save(tmp_path / "turned.jpg", exif=exif)
    infer(tmp_path / "turned.jpg", "--json", tmp_path / "found.json")
    image = json.loads((tmp_path / "found.json").read_text())["images"][0]
    assert (image["width"], image["height"]) == (photo.height, photo.width)
    painted = cv2.imread(str(tmp_path / "out/turned.jpg"))
    assert painted.shape[:2] == (2 * photo.width, 2 * photo.height)


def test_nothing_is_overwritten_unasked(infer, inputs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x.jpg").write_text("precious")
    with pytest.raises(SystemExit, match=r"out/x.jpg exist already: .* --overwrite"):
        infer(inputs / "a/x.jpg")
    (tmp_path / "found.json").write_text("precious")
    with pytest.raises(SystemExit, match=r"x.jpg and 1 more exist already"):
        infer(inputs / "a/x.jpg", "--json", tmp_path / "found.json")
    assert (tmp_path / "out/x.jpg").read_text() == "precious"
    assert not (tmp_path / "out/x.jpg").with_suffix(".partial").exists()


def test_masks_need_a_neck(infer, inputs, plain_config, tmp_path):
    with pytest.raises(SystemExit, match=r"--masks: this RTDETR has no DerainNeck"):
        infer(inputs / "a/x.jpg", "--masks", config=plain_config)
    assert not (tmp_path / "out").exists()


def test_exit_code_when_nothing_could_be_read(infer, tmp_path, capsys):
    (tmp_path / "bad.jpg").write_text("no image")
    with pytest.raises(SystemExit, match="nothing could be read"):
        infer(tmp_path / "bad.jpg")
    assert "bad.jpg: not an image" in capsys.readouterr().err


def test_ctrl_c_writes_what_was_found(infer, inputs, tmp_path, monkeypatch, capsys):
    def stop(session, source, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "_annotate_video", stop)
    with pytest.raises(SystemExit) as stopped:
        infer(inputs / "a/x.jpg", inputs / "drive.avi", "--json", tmp_path / "found.json")
    assert stopped.value.code == 130
    assert len(json.loads((tmp_path / "found.json").read_text())["images"]) == 1
    assert "stopped before the end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "missing.jpg is no file or folder"),
        (["a/x.jpg", "--start", "1"], "--start and --end are for videos, and there is none"),
        (["drive.avi", "--end", "9"], "end 9 s is outside drive.avi, which has 1.2 s"),
        (["a/x.jpg", "--compare", "missing.py", "a.pth"], "missing.py"),
        (["a/x.jpg", "--out-dir", "drive.avi"], "--out-dir drive.avi is a file"),
    ],
)
def test_errors_of_users_are_one_line(
    config, weights, inputs, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(inputs)
    out = ["--out-dir", os.path.relpath(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        infer_cli.main([config, weights, *out, *arguments, "--device", "cpu"])
    assert str(stopped.value.code).startswith("error: ")
    assert message in str(stopped.value.code)
    assert "\n" not in str(stopped.value.code)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out-dir", "o", "--score-thr", "40"], "--score-thr must be in 0-1, got 40"),
        (["--out-dir", "o", "--start", "3", "--end", "2"], "--end must be after --start"),
        (["--out-dir", "o", "--device", "gpu"], "--device gpu: "),
        ([], "required: --out-dir"),
    ],
)
def test_refuses_bad_options(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        infer_cli.parse_args(["config.py", "a.pth", "a.jpg", *arguments])
    assert message in capsys.readouterr().err

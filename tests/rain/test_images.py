import errno
import json
import os
import unicodedata

import cv2
import numpy as np
import pytest
from small_photos import NAMES

from derain_plugin.rain.images import (
    SourceImage,
    UnreadableError,
    find_images,
    hint_at,
    listed_images,
    missing_files,
    read_image,
    refuse_overlap,
)


def annotate(path, *images):
    path.write_text(json.dumps(dict(images=[dict(id=i, file_name=name) for i, name in images])))
    return path


def test_finds_images_alone_in_all_folders(photos):
    images = find_images(photos)
    assert [image.path for image in images] == sorted(NAMES)


@pytest.mark.parametrize(
    ("name", "image_id"),
    [("000000000139.jpg", 139), ("7.PNG", 7), ("photo_2.jpg", "photo_2"), ("²1.jpg", "²1")],
)
def test_id_is_the_number_in_the_name(tmp_path, name, image_id):
    (tmp_path / name).touch()
    assert find_images(tmp_path) == [SourceImage(name, image_id)]


def test_follows_a_part_that_is_a_link(photos, tmp_path):
    (tmp_path / "train2017").symlink_to(photos / "val2017")
    assert len(find_images(tmp_path)) == 6


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no image .*\.jpeg"):
        find_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent does not exist, or is a file"):
        find_images(tmp_path / "absent")


def test_annotations_say_which_images_and_ids(photos, tmp_path):
    file = annotate(tmp_path / "a.json", (9, "./streets/1.JPG"), (5, "absent.jpg"))
    assert listed_images(photos, file) == [("absent.jpg", 5), ("streets/1.JPG", 9)]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([(1, "streets/1.JPG"), (2, "streets/1.JPG")], "2 images under 1 file names"),
        ([(1, "streets/1.JPG"), (2, "./streets/1.JPG")], "2 images under 1 file names"),
        ([(1, "../other/1.jpg")], r"'\.\./other/1\.jpg' leads out"),
        ([(1, "/etc/1.jpg")], "'/etc/1.jpg' leads out"),
        ([], "0 images"),
        ([(1, "1.JPG"), (2, "2.JPG")], "none of the 2 images .* such as 1.JPG: give the folder"),
        ([(1, 3)], "not in COCO format"),
    ],
)
def test_bad_annotations_are_refused(photos, tmp_path, images, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        listed_images(photos, annotate(tmp_path / "a.json", *images))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 3}', '{"images": [{"id": 1}]}'])
def test_files_that_are_no_annotations_are_refused(photos, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="not in COCO format"):
        listed_images(photos, tmp_path / "a.json")


@pytest.mark.parametrize("out", ["coco", "coco/rain", ".", "coco/val2017/a", "disk/x", "disk"])
def test_a_copy_in_or_around_its_input_is_refused(tmp_path, out):
    (tmp_path / "coco/val2017").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    (tmp_path / "coco/train2017").symlink_to(tmp_path / "disk")
    for part in ("val2017", "train2017"):
        (tmp_path / f"coco/{part}/1.jpg").touch()
    images = find_images(tmp_path / "coco")
    with pytest.raises(ValueError, match="would mix with its input"):
        refuse_overlap(tmp_path / "coco", images, (tmp_path / out).resolve())
    refuse_overlap(tmp_path / "coco", images, tmp_path / "coco_rain")


def test_a_link_that_leads_back_is_not_followed(photos, tmp_path):
    (tmp_path / "1.jpg").touch()
    (tmp_path / "part").mkdir()
    (tmp_path / "part/whole").symlink_to(tmp_path)
    (tmp_path / "part/same").symlink_to(tmp_path / "part")
    assert find_images(tmp_path) == [("1.jpg", 1)]


def test_a_folder_that_may_not_be_read_is_not_skipped(tmp_path, monkeypatch):
    (tmp_path / "1.jpg").touch()
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def scan_as_a_user(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_as_a_user)
    with pytest.raises(PermissionError, match="closed"):
        find_images(tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("a.jpg", lambda photo: b"", "empty"),
        ("a.jpg", lambda photo: b"<html>404 Not Found</html>", "not an image"),
        ("a.jpg", lambda photo: photo[: len(photo) // 2], "truncated"),
        ("a.jpg", lambda photo: photo[:-1], "truncated"),
        ("a.jpg", lambda photo: photo[:3] + bytes(99), "damaged"),
        ("a.gif", lambda photo: photo, "formats"),
        ("absent.jpg", None, "No such file"),
    ],
)
def test_damaged_images_are_not_read(photos, tmp_path, name, damage, reason):
    if damage is not None:
        photo = (photos / "val2017/000000000139.jpg").read_bytes()
        (tmp_path / name).write_bytes(damage(photo))
    with pytest.raises(UnreadableError, match=reason):
        read_image(tmp_path / name)


def test_a_cut_off_jpeg_is_not_read_where_opencv_fills_it_with_grey(photos, tmp_path, monkeypatch):
    grey = np.full((40, 72, 3), 128, np.uint8)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: grey)  # as before OpenCV 4.11
    content = (photos / "val2017/000000000139.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableError, match="truncated"):
        read_image(tmp_path / "a.jpg")


def test_cut_off_png_is_not_read(photos, tmp_path):
    content = (photos / "val2017/000000000724.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableError, match="cut off"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    "name",
    [
        "._1.jpg",
        ".1.jpg",
        ".ipynb_checkpoints/1-checkpoint.jpg",
        "a/.ipynb_checkpoints/1-checkpoint.jpg",
        "__MACOSX/a/._1.jpg",
        "@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg",
    ],
)
def test_what_other_programs_leave_is_no_image(tmp_path, name):
    for path in ("1.jpg", name):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert find_images(tmp_path) == [("1.jpg", 1)]


def test_a_hidden_folder_may_hold_the_data_set(tmp_path):
    (tmp_path / ".cache/photos").mkdir(parents=True)
    (tmp_path / ".cache/photos/1.jpg").touch()
    assert find_images(tmp_path / ".cache/photos") == [("1.jpg", 1)]


def test_what_a_path_leads_to_is_there(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/1.jpg").touch()
    (tmp_path / "linked").symlink_to(tmp_path / "disk")
    there = [f"{tmp_path}/{p}" for p in ("disk/1.jpg", "linked/1.jpg", "./disk/../linked/./1.jpg")]
    absent = [f"{tmp_path}/{p}" for p in ("disk/2.jpg", "nowhere/1.jpg", "disk/1.jpg/", "")]
    assert missing_files([*there, *absent]) == absent


def test_a_relative_path_is_looked_up_from_here(tmp_path, monkeypatch):
    (tmp_path / "1.jpg").touch()
    monkeypatch.chdir(tmp_path)
    assert missing_files(["1.jpg", "2.jpg"]) == ["2.jpg"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rain\\Straße 1.jpg", "rain/Straße 1.jpg"),
        (unicodedata.normalize("NFD", "rain/Züge.jpg"), "rain/Züge.jpg"),
        ("RAIN/straße 1.JPG", "rain/Straße 1.jpg"),
        ("rain/Straße%201.jpg", "rain/Straße 1.jpg"),
        ("rain/Straße 1.png", "rain/Straße 1.jpg"),
        ("train2017/rain/Straße 1.jpg", "rain/Straße 1.jpg"),
        ("C:\\data\\rain\\Züge.jpg", "rain/Züge.jpg"),
        ("/home/else/rain/Züge.jpg", "rain/Züge.jpg"),
        ("rain/other.jpg", None),
        ("rain", None),
    ],
)
def test_a_missing_file_of_another_spelling_is_named(tmp_path, name, meant):
    (tmp_path / "rain").mkdir()
    for file in ("Straße 1.jpg", "Züge.jpg"):
        (tmp_path / "rain" / file).touch()
    assert hint_at(str(tmp_path), name) == (f" (there is {meant!r})" if meant else "")

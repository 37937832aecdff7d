"""Rainy copies on disk as the rain of an adaptation."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from derain_plugin.adapting.photos import find_photos
from derain_plugin.adapting.renderers import rain_of
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.rain.copies import Recipe, make_rainy_copy
from derain_plugin.rain.images import read_image


def checked(folder, photos=None):
    rain = rain_of(str(folder))
    rain.check(find_photos([photos or folder.parent / "photos"]))
    return rain


@pytest.fixture
def clear(tmp_path, photos) -> Path:
    """Two photos, one of them in a sub-folder."""
    folder = tmp_path / "photos"
    for name, photo in (("0.png", photos[0]), ("cam/1.png", photos[1])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photo.read_bytes())
    return folder


def write(folder: Path, clear: Path, value: int, suffix: str = ".png") -> None:
    for photo in clear.rglob("*.png"):
        path = (folder / photo.relative_to(clear)).with_suffix(suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full_like(read_image(photo), value))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".BMP"])
def test_one_copy_serves_for_every_severity(clear, tmp_path, suffix):
    write(tmp_path / "rainy", clear, 9, suffix)
    rain = checked(tmp_path / "rainy")
    for photo in find_photos([clear]).paths:
        image = read_image(photo)
        for severity in (1, 5):
            rainy = rain.on(image, severity, seed=0, photo=photo)
            assert rainy.shape == image.shape
            assert (rainy == 9).all()


def test_the_severity_chooses_the_folder_and_the_nearest_where_it_is_missing(clear, tmp_path):
    for level in (2, 4, 5):
        write(tmp_path / f"rainy/severity_{level}", clear, level)
    rain, photo = checked(tmp_path / "rainy"), clear / "cam/1.png"
    found = [rain.on(read_image(photo), each, seed=0, photo=photo)[0, 0, 0] for each in range(1, 6)]
    assert found == [2, 2, 2, 4, 5]


def test_copies_of_our_own_tool_serve(clear, tmp_path):
    make_rainy_copy(clear, tmp_path / "one", recipe=Recipe())
    make_rainy_copy(clear, tmp_path / "all", recipe=Recipe(severity=(1, 5), per_severity=True))
    photo = clear / "cam/1.png"
    for folder, levels in (("one", [3] * 5), ("all", [1, 2, 3, 4, 5])):
        rain = checked(tmp_path / folder)
        for severity, level in enumerate(levels, 1):
            file = (
                tmp_path / folder / (f"severity_{level}" if folder == "all" else "") / "cam/1.png"
            )
            rainy = rain.on(read_image(photo), severity, seed=0, photo=photo)
            assert np.array_equal(rainy, read_image(file))


def test_copies_are_flipped_and_shrunk_with_their_photo(clear, tmp_path):
    rainy = tmp_path / "rainy"
    write(rainy, clear, 0)
    cv2.imwrite(str(rainy / "0.png"), read_image(clear / "0.png") // 2)
    rain = checked(rainy)
    twins = RainyTwins(
        [clear / "0.png"], lambda each: each, num_samples=20, clean_share=0, renderer=rain
    )
    twins.set_run_seed(0)
    seen = [twins[index] for index in range(20)]
    assert all((each["rainy"] == each["clean"] // 2).all() for each in seen)
    assert len({each["clean"].tobytes() for each in seen}) == 2
    small = np.zeros((10, 15, 3), np.uint8)
    assert rain.on(small, 3, seed=0, photo=clear / "0.png").shape == small.shape


def test_an_upright_copy_of_a_photo_that_its_exif_turns(tmp_path):
    (tmp_path / "photos").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (40, 30)).save(tmp_path / "photos/0.jpg", exif=exif)
    (tmp_path / "rainy").mkdir()
    cv2.imwrite(str(tmp_path / "rainy/0.jpg"), read_image(tmp_path / "photos/0.jpg"))
    assert find_photos([tmp_path / "photos"]).sizes == {tmp_path / "photos/0.jpg": (40, 30)}
    checked(tmp_path / "rainy")


@pytest.mark.parametrize("source", ["photos", "photos/**/*.png", "photos.json"])
def test_names_are_relative_to_what_led_to_the_photos(clear, tmp_path, source):
    write(tmp_path / "rainy", clear, 9)
    images = [dict(file_name="0.png", id=1), dict(file_name="cam/1.png", id=2)]
    (tmp_path / "photos.json").write_text(json.dumps(dict(images=images)))
    (tmp_path / "images").symlink_to(clear)
    checked(tmp_path / "rainy", tmp_path / source)


def test_photos_without_a_copy_are_counted_and_named(clear, tmp_path):
    write(tmp_path / "rainy/severity_1", clear, 1)
    write(tmp_path / "rainy/severity_3", clear, 3)
    (tmp_path / "rainy/severity_3/cam/1.png").unlink()
    message = (
        r"no rainy copy of 1 of 2 photos, such as .*photos/cam/1.png: .*severity_1, severity_3"
    )
    with pytest.raises(ValueError, match=message):
        checked(tmp_path / "rainy")


def test_copies_of_another_size_are_counted_and_named(clear, tmp_path):
    write(tmp_path / "rainy", clear, 1)
    cv2.imwrite(str(tmp_path / "rainy/0.png"), np.zeros((20, 30, 3), np.uint8))
    message = r"1 rainy copies have another size .*rainy/0.png: 30 x 20, and .*0.png is 75 x 50"
    with pytest.raises(ValueError, match=message):
        checked(tmp_path / "rainy")


def test_damaged_copies_the_photos_themselves_and_an_empty_folder(clear, tmp_path):
    write(tmp_path / "rainy", clear, 1)
    (tmp_path / "rainy/0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1 rainy copies cannot be read, such as .*0.png: not an"):
        checked(tmp_path / "rainy")
    with pytest.raises(ValueError, match=r"0.png is the clear photo itself"):
        checked(clear)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no rainy copy"):
        rain_of(str(tmp_path / "empty"))


def test_two_photos_share_no_copy(clear, tmp_path):
    write(tmp_path / "rainy", clear, 1)
    (clear / "cam/0.png").write_bytes((clear / "0.png").read_bytes())
    with pytest.raises(ValueError, match=r"rainy/0.png would be the rainy copy of both"):
        rain_of(str(tmp_path / "rainy")).check(find_photos([clear / "0.png", clear / "cam/0.png"]))


def test_other_copies_are_of_another_version(clear, tmp_path):
    write(tmp_path / "rainy", clear, 9)
    versions = {checked(tmp_path / "rainy").version for _ in range(2)}
    cv2.imwrite(str(tmp_path / "rainy/0.png"), read_image(clear / "0.png"))
    versions.add(checked(tmp_path / "rainy").version)
    assert len(versions) == 2

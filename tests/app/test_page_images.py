"""Examples and uploads: images come out as they are, anything else is a message."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from derain_plugin.app.images import NUM_TOYS, PHOTOS, Examples, read_uploaded_image, shrink_to


@pytest.fixture
def demo_data(tmp_path):
    """Test images of a demo, whose grey is their number."""
    folder = tmp_path / "toy_coco/test2017"
    folder.mkdir(parents=True)
    for number in range(NUM_TOYS + 2):
        image = np.full((8, 9, 3), 10 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number:012d}.jpg"), image)
    return tmp_path / "toy_coco"


def test_examples_begin_with_the_demos_first_test_images(demo_data):
    examples = Examples(demo_data)
    toys = tuple(f"toy test image {number}" for number in range(1, NUM_TOYS + 1))
    assert examples.names == (*toys, *PHOTOS)
    assert [examples.load(name).mean() for name in toys] == [0, 10, 20, 30]


def test_without_a_demo_there_are_photographs(tmp_path):
    examples = Examples(tmp_path / "none")
    assert examples.names == PHOTOS
    for name in PHOTOS:
        image = examples.load(name)
        assert image.ndim == 3
        assert image.dtype == np.uint8


@pytest.mark.parametrize("name", [PHOTOS[0], "toy test image 1"])
def test_who_writes_into_an_example_changes_no_other_users(demo_data, name):
    examples = Examples(demo_data)
    before = examples.load(name).copy()
    examples.load(name)[:] = 255
    np.testing.assert_array_equal(examples.load(name), before)


def test_a_damaged_example_is_a_message(demo_data):
    (demo_data / "test2017/000000000000.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"000000000000\.jpg: not an image"):
        Examples(demo_data).load("toy test image 1")


def test_no_other_file_is_an_example(demo_data):
    with pytest.raises(ValueError, match="no example"):
        Examples(demo_data).load("../../etc/passwd")


def write(path, image):
    Image.fromarray(image).save(path, format="PNG")
    return path


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("name", ["a.png", "a.txt", "a"])
def test_content_counts_and_not_the_name(tmp_path, name):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    read = read_uploaded_image(write(tmp_path / name, image), max_megapixels=1)
    np.testing.assert_array_equal(read, image[..., ::-1])


def test_a_photo_that_lies_on_its_side_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert read_uploaded_image(tmp_path / "a.jpg", max_megapixels=1).shape == (8, 4, 3)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_any_mode_has_three_channels(tmp_path, mode):
    Image.new(mode, (8, 4)).save(tmp_path / "a.png")
    assert read_uploaded_image(tmp_path / "a.png", max_megapixels=1).shape == (4, 8, 3)


def test_16_bits_of_grey_become_8(tmp_path):
    grey = np.arange(0, 65536, 2048, dtype=np.uint16).reshape(4, 8)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    read = read_uploaded_image(tmp_path / "a.png", max_megapixels=1)
    np.testing.assert_array_equal(read, cv2.imread(str(tmp_path / "a.png")))


def test_a_large_image_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"never decoded")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ValueError, match="9000 x 9000 pixels"):
        read_uploaded_image(tmp_path / "bomb.png", max_megapixels=80.9)


def test_the_limit_itself_is_taken(tmp_path):
    path = write(tmp_path / "a.png", np.zeros((10, 10, 3), np.uint8))
    assert read_uploaded_image(path, max_megapixels=1e-4).shape == (10, 10, 3)
    with pytest.raises(ValueError, match="send a smaller one"):
        read_uploaded_image(path, max_megapixels=0.99e-4)


def bad_files():
    png = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (40, 40, 3)))[1].tobytes()
    yield "empty", b""
    yield "text", b"import os; os.system('true')"
    yield "cut off", png[: len(png) // 2]
    yield "damaged", png[:60] + bytes(40) + png[100:]
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"


@pytest.mark.parametrize(
    "content", [content for _, content in bad_files()], ids=[name for name, _ in bad_files()]
)
def test_what_is_no_whole_image_is_a_message(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as an image"):
        read_uploaded_image(tmp_path / "a.png", max_megapixels=1)


@pytest.mark.parametrize(
    ("shape", "shrunk"), [((20, 40), (10, 20)), ((7, 20), (7, 20)), ((1, 400), (1, 20))]
)
def test_shrinking_keeps_the_ratio(shape, shrunk):
    assert shrink_to(np.zeros((*shape, 3), np.uint8), side=20).shape[:2] == shrunk

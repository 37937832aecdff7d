"""Images of all kinds and damages: refused by name, or read as they look."""

import io
import json

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image
from skimage import data

from derain_plugin.app.images import read_uploaded_image
from derain_plugin.datasets.checks.coco_check import check_datasets
from derain_plugin.datasets.labels.convert import _read
from derain_plugin.rain.images import UnreadableError, read_image

RGB = np.ascontiguousarray(data.astronaut()[:120, :160])
WHOLE = Image.fromarray(RGB)
GREY16 = RGB[..., 0].astype(np.uint16) * 257


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_opencv(array):
    return cv2.imencode(".png", array)[1].tobytes()


def turned(kind="JPEG"):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(WHOLE, kind, quality=95, exif=exif)


JPEG, PNG = encoded(WHOLE, "JPEG", quality=95), encoded(WHOLE)
DAMAGED = {
    "half of a jpeg": ("a.jpg", JPEG[: len(JPEG) // 2]),
    "jpeg without its tail": ("a.jpg", JPEG[:-200]),
    "jpeg without its end": ("a.jpg", JPEG[:-2]),
    "half of a png": ("a.png", PNG[: len(PNG) // 2]),
    "png without its tail": ("a.png", PNG[:-200]),
    "zero bytes": ("a.jpg", b""),
    "a thousand zeros": ("a.jpg", bytes(1000)),
    "text": ("a.jpg", b"hello" * 50),
    "a page": ("a.png", b"<!DOCTYPE html><html>not found</html>"),
    "header alone": ("a.jpg", JPEG[:20]),
}
# File name, content, how it looks (RGB), and by how much a reader may miss that on average.
SOUND = {
    "cmyk": ("a.jpg", encoded(WHOLE.convert("CMYK"), "JPEG", quality=95), RGB, 2),
    "16 bits": ("a.png", by_opencv(RGB[..., ::-1].astype(np.uint16) * 257), RGB, 0),
    "grey": ("a.png", encoded(WHOLE.convert("L")), np.asarray(WHOLE.convert("L")), 0),
    "16 bits of grey": ("a.png", by_opencv(GREY16), RGB[..., 0], 0),
    "alpha": ("a.png", encoded(WHOLE.convert("RGBA")), RGB, 0),
    "palette": ("a.png", encoded(WHOLE.quantize(256)), RGB, 2),
    "turned by EXIF": ("a.jpg", turned(), np.rot90(RGB, -1), 2),
    "1 x 1": ("a.png", encoded(WHOLE.crop((0, 0, 1, 1))), RGB[:1, :1], 0),
    "20,000 px wide": ("a.png", encoded(Image.new("RGB", (20000, 8), (9, 9, 9))), 9, 0),
    "png called jpg": ("a.jpg", PNG, RGB, 0),
    "bytes after its end": ("a.jpg", JPEG + bytes(9000), RGB, 2),
}
READERS = {
    "training and testing": lambda path: LoadImageFromFile()(dict(img_path=str(path)))["img"],
    "rainy copies": read_image,
    "uploads": lambda path: read_uploaded_image(path, max_megapixels=1),
}


def check(folder, name, size=(160, 120)):
    """As ``tools/train.py`` does before it trains."""
    image = dict(id=1, file_name=name, width=size[0], height=size[1])
    box = dict(id=1, image_id=1, category_id=1, bbox=[0, 0, *size], area=1, iscrowd=0)
    content = dict(images=[image], annotations=[box], categories=[dict(id=1, name="a")])
    (folder / "a.json").write_text(json.dumps(content))
    dataset = dict(
        type="CocoDataset",
        ann_file=str(folder / "a.json"),
        data_prefix=dict(img=str(folder)),
        metainfo=dict(classes=("a",)),
    )
    check_datasets(dict(train_dataloader=dict(dataset=dataset)))


BMP, JP2 = (encoded(WHOLE, kind) for kind in ("BMP", "JPEG2000"))
OTHER_FORMATS = {
    "half of a bmp": ("a.bmp", BMP[: len(BMP) // 2]),
    "half of a jpeg 2000": ("a.jp2", JP2[: len(JP2) // 2]),
    "half of a webp": ("a.webp", encoded(WHOLE, "WEBP")[:500]),
    "a tiff of floats": ("a.tif", encoded(WHOLE.convert("F"), "TIFF")),
}
TRAINING = dict(DAMAGED, **OTHER_FORMATS)


@pytest.mark.parametrize(("name", "content"), TRAINING.values(), ids=TRAINING)
def test_training_does_not_start_with_a_damaged_one(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="1 of the 1 images") as error:
        check(tmp_path, name)
    assert str(tmp_path / name) in str(error.value)
    assert "drop them" in str(error.value)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("name", "content"), DAMAGED.values(), ids=DAMAGED)
def test_no_reader_makes_something_of_a_damaged_one(tmp_path, reader, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, UnreadableError, AssertionError, cv2.error)):
        reader(tmp_path / name)


@pytest.mark.parametrize(("name", "content"), DAMAGED.values(), ids=DAMAGED)
def test_labels_of_a_damaged_one_are_not_converted(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as an image") as error:
        _read(tmp_path / name, tmp_path / "a.txt", None)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("name", "content", "look", "miss"), SOUND.values(), ids=SOUND)
def test_a_sound_one_is_read_as_it_looks(tmp_path, reader, name, content, look, miss):
    (tmp_path / name).write_bytes(content)
    image = reader(tmp_path / name)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    look = np.asarray(look)
    look = look[..., None] if look.ndim == 2 else look
    if look.ndim == 3:
        assert image.shape[:2] == look.shape[:2]
    assert np.abs(image[..., ::-1].astype(int) - look).mean() <= miss
    check(tmp_path, name, size=image.shape[1::-1])


def test_boxes_of_another_size_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(ValueError, match="has 160x120 px, but its annotations 80x60"):
        check(tmp_path, "a.png", size=(80, 60))


def by_xmp():
    """A JPEG whose orientation Pillow reads and OpenCV does not."""
    xmp = (
        b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff='
        b'"http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    return JPEG[:2] + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + JPEG[2:]


ON_ITS_SIDE = {
    "JPEG": ("a.jpg", turned("JPEG")),
    "PNG": ("a.png", turned("PNG")),
    "WebP": ("a.webp", turned("WEBP")),
    "TIFF": ("a.tif", turned("TIFF")),
    "XMP": ("a.jpg", by_xmp()),
}


@pytest.mark.parametrize(("name", "content"), ON_ITS_SIDE.values(), ids=ON_ITS_SIDE)
def test_the_loader_decides_which_size_an_image_on_its_side_has(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    loaded = LoadImageFromFile()(dict(img_path=str(tmp_path / name)))["img"]
    size = loaded.shape[1::-1]
    check(tmp_path, name, size=size)
    with pytest.raises(ValueError, match="as the loader takes its EXIF orientation, but"):
        check(tmp_path, name, size=size[::-1])


@pytest.mark.parametrize("limit", [100, 15_000])
def test_an_image_that_pillow_takes_for_a_bomb_is_one_if_the_loader_fails(
    tmp_path, monkeypatch, limit, recwarn
):
    """Pillow warns above its limit and refuses above twice that; here the image has 19,200 px."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (tmp_path / "a.png").write_bytes(PNG)
    check(tmp_path, "a.png", size=(160, 120))
    assert not [w for w in recwarn if "bomb" in str(w.message)]
    with pytest.raises(ValueError, match="has 160x120 px, but"):
        check(tmp_path, "a.png", size=(80, 60))
    (tmp_path / "a.png").write_bytes(PNG[:-300])
    with pytest.raises(ValueError, match=r"cut off|truncated"):
        check(tmp_path, "a.png", size=(160, 120))

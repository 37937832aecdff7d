import itertools
import shutil

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from derain_plugin.datasets.transforms import SyntheticRain
from derain_plugin.rain.copies import Recipe, make_rainy_copy
from derain_plugin.rain.copies.render_image import Job, render_image
from derain_plugin.rain.images import SourceImage


def rendered_while_loading(path, image_id, **rain):
    results = LoadImageFromFile()(dict(img_path=str(path), img_id=image_id))
    return SyntheticRain(**rain)(results)


@pytest.mark.parametrize("lens_drops", [False, True])
@pytest.mark.parametrize("severity", [(3, 3), (1, 5), (0, 0)])
def test_pixels_are_those_of_rain_rendered_while_loading(photos, tmp_path, severity, lens_drops):
    recipe = Recipe(severity=severity, seed=4, lens_drops=lens_drops)
    images = [SourceImage(f"val2017/000000000{i}.png", i) for i in (724, 776, 785)]
    images.append(SourceImage("streets/night/photo_1.png", "photo_1"))
    for image in images:
        job = Job(image, recipe.targets(image))
        outcome = render_image(job, images=photos, out=tmp_path, recipe=recipe)
        expected = rendered_while_loading(
            photos / image.path,
            image.image_id,
            severity=severity,
            seed=4,
            lens_drops=lens_drops,
        )
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / image.path)), expected["img"])
        assert outcome.files[image.path]["severity"] == expected["rain_severity"]


def test_jpeg_quality_is_that_of_the_recipe(photos, tmp_path):
    recipe = Recipe(quality=60)
    path = "val2017/000000000139.jpg"
    image = SourceImage(path, 139)
    job = Job(image, recipe.targets(image))
    render_image(job, images=photos, out=tmp_path, recipe=recipe)
    rain = rendered_while_loading(photos / path, 139, severity=3, seed=0)["img"]
    expected = cv2.imencode(".jpg", rain, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    assert (tmp_path / path).read_bytes() == expected


def save(image, path, **options):
    Image.fromarray(image).save(path, **options)


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


ANY_KIND = [
    *itertools.product(["color", "grey", "turned"], ["jpg", "JPEG", "png", "bmp", "tif", "webp"]),
    *itertools.product(["alpha"], ["png", "tif", "webp"]),
]


@pytest.mark.parametrize(("kind", "extension"), ANY_KIND)
def test_any_kind_of_image_becomes_an_upright_color_one(tmp_path, kind, extension):
    shape = dict(grey=(30, 40), alpha=(30, 40, 4)).get(kind, (30, 40, 3))
    image = np.random.default_rng(0).integers(50, 200, shape, dtype=np.uint8)
    (tmp_path / "in").mkdir()
    path = tmp_path / f"in/7.{extension}"
    save(image, path, **(dict(exif=orientation(6)) if kind == "turned" else {}))
    report = make_rainy_copy(tmp_path / "in", tmp_path / "out", recipe=Recipe())
    assert report.unreadable == {}
    expected = rendered_while_loading(path, 7, severity=3, seed=0)["img"]
    if kind == "turned" and extension in ("jpg", "JPEG"):
        assert expected.shape == (40, 30, 3)
    # Read as it is stored: a copy that still said "turn me" would be turned twice.
    stored = cv2.imread(str(tmp_path / "out" / path.name), cv2.IMREAD_UNCHANGED)
    assert stored.shape == expected.shape
    if extension not in ("jpg", "JPEG"):
        np.testing.assert_array_equal(stored, expected)


def test_a_image_too_large_for_its_format_is_told(tmp_path):
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((1, 65_501, 3), np.uint8))
    shutil.move(tmp_path / "wide.png", tmp_path / "wide.jpg")
    image, recipe = SourceImage("wide.jpg", 1), Recipe(severity=(0, 0))
    job = Job(image, recipe.targets(image))
    outcome = render_image(job, images=tmp_path, out=tmp_path / "out", recipe=recipe)
    assert outcome.unreadable == "65501x1 pixels cannot be written as .jpg"
    assert not (tmp_path / "out").exists()

"""The distortion on uint8 against mmdet's floats, rounded."""

import cv2
import numpy as np
import pytest
from mmdet.datasets.transforms import PhotoMetricDistortion

from derain_plugin.datasets.transforms import RainTwin, Uint8PhotoMetricDistortion
from derain_plugin.datasets.transforms.lazy_canvas import LazyCanvas


@pytest.fixture(scope="module")
def image():
    """Of all colours, dark and bright ones among them, with more rows than go at a time."""
    noise = np.random.default_rng(0).integers(0, 256, (150, 31, 3), dtype=np.uint8)
    noise[:40] //= 8
    noise[-40:] = 255 - noise[-40:] // 8
    return noise


def distorted(step, image, seed):
    np.random.seed(seed)  # noqa: NPY002
    whole = image.copy() if isinstance(image, np.ndarray) else image
    result = step(dict(img=whole))["img"]
    return result, np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize("seed", range(64))
def test_is_mmdets_rounded(image, seed):
    """Sixty-four seeds have every flag and most of their combinations."""
    theirs, after = distorted(PhotoMetricDistortion(), image, seed)
    ours, ours_after = distorted(Uint8PhotoMetricDistortion(), image, seed)
    assert ours_after == after
    assert ours.dtype == np.uint8
    difference = np.abs(ours.astype(int) - np.clip(np.rint(theirs), 0, 255))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 2e-3


def test_takes_mmdets_arguments(image):
    options = dict(
        brightness_delta=60, contrast_range=(0.2, 2), saturation_range=(0.1, 3), hue_delta=90,
        swap_channels=False,
    )  # fmt: skip
    for seed in range(20):
        theirs, _ = distorted(PhotoMetricDistortion(**options), image, seed)
        ours, _ = distorted(Uint8PhotoMetricDistortion(**options), image, seed)
        difference = np.abs(ours.astype(int) - np.clip(np.rint(theirs), 0, 255))
        assert (difference > 1).mean() < 1e-4


def test_takes_a_part_of_an_image(image):
    """Rows that do not follow each other in memory, as behind a crop."""
    part = image[10:90, 5:20]
    for seed in range(8):
        ours, _ = distorted(Uint8PhotoMetricDistortion(), part, seed)
        np.random.seed(seed)  # noqa: NPY002
        assert np.array_equal(Uint8PhotoMetricDistortion()(dict(img=part))["img"], ours)


def test_leaves_the_loaded_image(image):
    before = image.copy()
    for seed in range(8):
        np.random.seed(seed)  # noqa: NPY002
        Uint8PhotoMetricDistortion()(dict(img=image))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError, "uint8 image, got float32"),
        (np.zeros((4, 4, 7), np.uint8), ValueError, r"got \(4, 4, 7\): leave it out behind Rain"),
        (np.zeros((4, 4), np.uint8), ValueError, r"got \(4, 4\)"),
    ],
)
def test_refuses_other_images(image, error, message):
    with pytest.raises(error, match=message):
        Uint8PhotoMetricDistortion()(dict(img=image))


def test_refuses_a_twin():
    image = cv2.resize(np.zeros((4, 4, 3), np.uint8), (40, 40))
    twin = RainTwin(severity=0, seed=0)(dict(img=image, img_id=0))
    with pytest.raises(ValueError, match="RainTwin"):
        Uint8PhotoMetricDistortion()(twin)


@pytest.mark.parametrize("seed", range(8))
def test_of_a_canvas_it_distorts_what_is_kept_of_the_image(image, seed):
    """The same pixels as from distorting before the expansion and the crop, and the same fill."""
    corner, crop = dict(shape=(400, 90), left=20, top=100, fill=(7, 8, 9)), (5, 130, 45, 300)
    before, after = distorted(Uint8PhotoMetricDistortion(), image, seed)
    part = LazyCanvas(image, **corner).crop(*crop)
    ours, ours_after = distorted(Uint8PhotoMetricDistortion(), part, seed)
    assert ours_after == after
    assert isinstance(ours, LazyCanvas)
    assert np.array_equal(ours, LazyCanvas(before, **corner).crop(*crop))


def test_a_canvas_of_which_nothing_is_kept_has_its_draws(image):
    nothing = LazyCanvas(image[:0], shape=(40, 50), left=0, top=0, fill=99)
    for seed in range(8):
        _, after = distorted(Uint8PhotoMetricDistortion(), image, seed)
        ours, ours_after = distorted(Uint8PhotoMetricDistortion(), nothing, seed)
        assert ours_after == after
        assert np.array_equal(ours, np.full((40, 50, 3), 99))

"""PSNR and SSIM against their definitions, luma against MATLAB's documented values."""

import math
import sys

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from derain_plugin.evaluation.image_quality import WINDOW, image_quality, luma


def images(size=(24, 31)):
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    noise = rng.integers(-20, 21, clean.shape)
    return (clean + noise).clip(0, 255).astype(np.uint8), clean


# rgb2ycbcr of MATLAB's Image Processing Toolbox, for uint8.
@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), 16), ((255, 255, 255), 235), ((128, 128, 128), 126), ((255, 0, 0), 81),
        ((0, 255, 0), 145), ((0, 0, 255), 41), ((255, 255, 0), 210), ((0, 255, 255), 170),
        ((255, 0, 255), 106),
    ],
)  # fmt: skip
def test_luma_is_matlabs(rgb, expected):
    assert luma(np.array([[rgb]], np.uint8)).tolist() == [[expected]]


def test_psnr_is_the_definition():
    image, clean = images()
    quality = image_quality(image, clean)
    for name, one, other in (("PSNR", image, clean), ("PSNR_Y", luma(image), luma(clean))):
        error = np.mean((one.astype(float) - other) ** 2)
        assert quality[name] == pytest.approx(10 * math.log10(255**2 / error))


def test_values_are_those_of_scikit_image():
    rainy, clean = images()
    wang = dict(data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    one, other = (np.rint(rgb2ycbcr(image)[..., 0]) for image in (rainy, clean))
    assert image_quality(rainy, clean) == pytest.approx(
        dict(
            PSNR=peak_signal_noise_ratio(clean, rainy, data_range=255),
            SSIM=structural_similarity(clean, rainy, channel_axis=2, **wang),
            PSNR_Y=peak_signal_noise_ratio(other, one, data_range=255),
            SSIM_Y=structural_similarity(other, one, **wang),
        )
    )


def test_equal_images():
    _, clean = images((WINDOW, WINDOW))
    expected = dict(PSNR=math.inf, SSIM=1.0, PSNR_Y=math.inf, SSIM_Y=1.0)
    assert image_quality(clean, clean) == expected


@pytest.mark.parametrize("sizes", [((9, 30), (9, 30)), ((20, 20), (20, 21))], ids=str)
def test_images_that_do_not_compare(sizes):
    one, other = (images(size)[0] for size in sizes)
    with pytest.raises(ValueError, match="the same shape and at least 11 px on each side"):
        image_quality(one, other)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        image_quality(*images())

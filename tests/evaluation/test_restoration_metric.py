"""PSNR and SSIM against their definitions, luma against MATLAB's values; means and gains."""

import math
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from derain_plugin.evaluation import RestorationMetric
from derain_plugin.evaluation.restoration_metric import WINDOW, image_quality, luma


def noisy_pair(size=(24, 31)):
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
    image, clean = noisy_pair()
    quality = image_quality(image, clean)
    for name, one, other in (("PSNR", image, clean), ("PSNR_Y", luma(image), luma(clean))):
        error = np.mean((one.astype(float) - other) ** 2)
        assert quality[name] == pytest.approx(10 * math.log10(255**2 / error))


def test_values_are_those_of_scikit_image():
    rainy, clean = noisy_pair()
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
    _, clean = noisy_pair((WINDOW, WINDOW))
    expected = dict(PSNR=math.inf, SSIM=1.0, PSNR_Y=math.inf, SSIM_Y=1.0)
    assert image_quality(clean, clean) == expected


@pytest.mark.parametrize("sizes", [((9, 30), (9, 30)), ((20, 20), (20, 21))], ids=str)
def test_images_that_do_not_compare(sizes):
    one, other = (noisy_pair(size)[0] for size in sizes)
    with pytest.raises(ValueError, match="the same shape and at least 11 px on each side"):
        image_quality(one, other)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        image_quality(*noisy_pair())


def batch(severities):
    generator = torch.Generator().manual_seed(len(severities))
    shape = (len(severities), 3, 16, 18)
    clean = torch.randint(40, 200, shape, generator=generator, dtype=torch.uint8)
    data = dict(inputs=clean + 30, clean=clean, rain_severity=torch.tensor(severities))
    # Rounding makes it 10.
    return data, [dict(restored=image.float() + 9.6) for image in clean]


def as_image(image):
    return image.numpy().transpose(1, 2, 0)


@pytest.fixture
def metrics():
    metric = RestorationMetric()
    for severities in ([1, 3, 3], [3, 5]):
        metric.process(*batch(severities))
    return metric.evaluate(5)


def test_means_of_rainy_and_restored_images_and_the_gain(metrics):
    rows = []
    for data, samples in map(batch, ([1, 3, 3], [3, 5])):
        restored = [sample["restored"].round().byte() for sample in samples]
        for images in zip(data["inputs"], restored, data["clean"], strict=True):
            rainy, after, clean = map(as_image, images)
            rows.append((image_quality(rainy, clean), image_quality(after, clean)))
    assert len(rows) == 5
    for name in ("PSNR", "SSIM", "PSNR_Y", "SSIM_Y"):
        before, after = (np.mean([row[i][name] for row in rows]) for i in (0, 1))
        assert metrics[f"restoration/rainy_{name}"] == pytest.approx(before)
        assert metrics[f"restoration/{name}"] == pytest.approx(after)
        assert metrics[f"restoration/gain_{name}"] == pytest.approx(after - before)


def test_gains_by_severity(metrics):
    found = {name for name in metrics if name.endswith("/gain_PSNR")}
    assert found == {f"restoration/{group}gain_PSNR" for group in (
        "", "severity_1/", "severity_3/", "severity_5/"
    )}  # fmt: skip
    expected = 20 * np.log10(30 / 10)
    assert metrics["restoration/severity_3/gain_PSNR"] == pytest.approx(expected)


def test_prints_a_table(caplog):
    metric = RestorationMetric()
    metric.process(*batch([2, 4]))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    metric.evaluate(2)
    logger.removeHandler(caplog.handler)
    assert "18.59 -> 28.13 (+9.54)" in caplog.text
    assert [line.split()[0] for line in caplog.text.splitlines() if "->" in line][:3] == [
        "all", "severity_2", "severity_4",
    ]  # fmt: skip

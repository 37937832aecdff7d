import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from derain_plugin.evaluation import RestorationMetric
from derain_plugin.evaluation.image_quality import image_quality


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

import re

import cv2
import numpy as np
import pytest

from derain_plugin.rain import SEVERITIES
from projects.benchmark.cli.rain_statistics import main
from projects.benchmark.rain_statistics import SIZE, image_figures, percentiles


def squares(low: int, high: int, *, side: int = 26) -> np.ndarray:
    """A chessboard of two greys, of the size that is measured."""
    cells = np.indices((SIZE // side, SIZE // side)).sum(axis=0) % 2
    grey = np.kron(np.where(cells, high, low), np.ones((side, side))).astype(np.uint8)
    return cv2.merge([grey] * 3)


def test_figures_of_what_is_known():
    contrast, saturation, dark, sharpness = image_figures(squares(50, 150))
    assert contrast == pytest.approx(50 / 255, rel=1e-3)
    assert saturation == 0
    assert dark == pytest.approx((50 + 100 * 0.09) / 255, rel=0.2)  # but in the squares' middles
    assert sharpness > 100
    blurred = cv2.GaussianBlur(squares(50, 150), (0, 0), 3)
    assert image_figures(blurred)[3] < 0.1 * sharpness


def test_plain_color():
    orange = np.full((300, SIZE, 3), (0, 128, 255), np.uint8)
    assert image_figures(orange) == (0, 1, 0, 0)


def test_size_of_the_photograph_does_not_matter():
    large = cv2.resize(squares(50, 150), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    figures = [image_figures(image)[:3] for image in (large, squares(50, 150))]
    np.testing.assert_allclose(*figures, rtol=0.05)


def test_percentiles_are_over_images():
    images = [squares(0, level) for level in (20, 40, 60, 80, 100)]
    median, low, high = percentiles(images)[:, 0]
    assert median == image_figures(images[2])[0]
    assert image_figures(images[0])[0] < low < high < image_figures(images[4])[0]


@pytest.fixture
def folders(tmp_path):
    for name, low in (("clear", 20), ("fog", 120)):
        (tmp_path / name).mkdir()
        for number in range(4):
            photo = squares(low, 200 + number)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), photo)
    return tmp_path / "clear", tmp_path / "fog"


@pytest.mark.parametrize("options", [[], ["--version", "2"], ["--components", "veil"]])
def test_prints_a_row_for_every_folder_and_severity(folders, capsys, options):
    clear, fog = map(str, folders)
    main([clear, "--real", fog, "--every", "2", *options])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| /")]
    names = [row.split(" | ")[0].strip("| ") for row in rows]
    assert names == [fog, clear, *(f"{clear}, severity {k}" for k in SEVERITIES)]
    contrast = [
        float(re.findall(r"[\d.]+", row.removeprefix(f"| {name}"))[0])
        for row, name in zip(rows, names, strict=True)
    ]
    assert contrast[1] > contrast[2] > contrast[6]
    assert contrast[1] > contrast[0]


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(SystemExit, match="absent does not exist"):
        main([str(tmp_path / "absent")])

"""``tools/test.py --show-masks``: an image of the rain masks per image and condition."""

from pathlib import Path

import cv2
import pytest

from derain_plugin.cli import test as test_cli

CONFIGS = Path(__file__).parents[2] / "configs"


def masks_of(folder):
    return sorted(path.name for path in folder.glob("*_masks*.jpg"))


@pytest.fixture(scope="module")
def shown(config, two_class_weights, settings, tmp_path_factory):
    """The folder of a test of three severities of conditions, and the painted detections."""
    folder = tmp_path_factory.mktemp("shown")
    arguments = [config, two_class_weights, "--show-dir", str(folder / "painted"), "--show-masks"]
    arguments += ["--work-dir", str(folder / "work"), "--cfg-options", *settings]
    test_cli.main([*arguments, "image_size=96"])
    return folder / "painted"


def test_each_image_and_condition_has_its_masks(shown, coco_root):
    conditions = ["clean", *(f"severity_{k}" for k in (1, 2, 3, 4, 5))]
    stems = [path.stem for path in (coco_root / "val2017").iterdir()]
    names = [f"{stem}_{condition}" for stem in stems for condition in conditions]
    assert masks_of(shown) == sorted(f"{name}_masks.jpg" for name in names)
    painted = {path.name for path in shown.iterdir()} - set(masks_of(shown))
    assert painted == {f"{name}.jpg" for name in names}


def test_detections_are_painted_on_what_the_detector_saw(shown, coco_root):
    photo = next((coco_root / "val2017").iterdir())
    dry = cv2.imread(str(photo)).astype(int)
    clean, rainy = (
        cv2.imread(str(shown / f"{photo.stem}_{name}.jpg")) for name in ("clean", "severity_5")
    )
    height, width = dry.shape[:2]
    assert clean.shape == rainy.shape == (height, 2 * width, 3)  # truth, and what was found
    assert abs(clean[:, :width] - dry).mean() < 15 < abs(rainy[:, :width] - dry).mean()


def test_shows_the_rain_in_the_images_proportions(shown, coco_root):
    photo = next((coco_root / "val2017").iterdir())
    height, width = cv2.imread(str(photo)).shape[:2]
    clean, rainy = (
        cv2.imread(str(shown / f"{photo.stem}_{name}_masks.jpg"))
        for name in ("clean", "severity_5")
    )
    panel = round(96 * width / max(height, width))
    assert abs(clean[:, :panel].astype(int) - rainy[:, :panel]).mean() > 5
    assert clean.shape == rainy.shape
    assert clean.shape[1] > 4 * panel
    assert len(clean) == pytest.approx(96 * height / max(height, width) + 22, abs=1)


def test_refuses_a_plain_detector_before_the_run(weights, settings, tmp_path):
    config = str(CONFIGS / "rtdetr_r18_coco.py")
    arguments = [config, weights, "--show-dir", "painted", "--show-masks"]
    with pytest.raises(SystemExit, match=r"--show-masks: .* no DerainNeck"):
        test_cli.main([*arguments, "--work-dir", str(tmp_path), "--cfg-options", *settings])
    assert not list(tmp_path.glob("**/*.jpg"))


def test_needs_a_folder(config, capsys):
    with pytest.raises(SystemExit, match="2"):
        test_cli.main([config, "weights.pth", "--show-masks"])
    assert "--show-masks needs --show-dir" in capsys.readouterr().err

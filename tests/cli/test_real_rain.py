"""From a folder of real rain with VOC labels to its AP beside clean COCO."""

import json
import shutil
from pathlib import Path

import pytest
from coco_folder import write_coco_folder
from label_folders import rid_voc

from derain_plugin.cli import convert_labels
from derain_plugin.cli import test as test_cli

REAL_RAIN = Path(__file__).parents[2] / "configs/conditions/real_rain.py"


@pytest.fixture
def roots(tmp_path):
    clean = write_coco_folder(tmp_path / "clean", num_images=3, classes=("person", "car"))
    images, labels = rid_voc(tmp_path / "rid")
    rainy = tmp_path / "real"
    shutil.copytree(images, rainy / "images")
    convert_labels.main(["voc", str(rainy / "images"), str(labels), f"{rainy}/annotations.json"])
    return clean, rainy


def test_real_rain_is_scored_beside_clean_images(roots, config, two_class_weights, tmp_path):
    clean, rainy = roots
    arguments = [config, two_class_weights, "--conditions", str(REAL_RAIN), "--work-dir"]
    arguments += [str(tmp_path / "work"), "--cfg-options", "test_dataloader.num_workers=0"]
    arguments += [f"data_root={clean}", f"rainy_root={rainy}", "classes=person,car"]
    metrics = test_cli.main(arguments)
    assert 0 <= metrics["real/coco/bbox_mAP"] <= 1
    assert not [name for name in metrics if name.startswith(("gap/", "robustness/"))]
    (path,) = (tmp_path / "work").glob("*/robustness.json")
    assert list(json.loads(path.read_text())["conditions"]) == ["clean", "real"]

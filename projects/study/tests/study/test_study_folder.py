import json

import cv2
import numpy as np
import pytest

from projects.study.coco_folder import count_split, make_study_coco, write_statistics
from projects.study.glyphs import CLASSES
from projects.study.scene import render_study_scene

FEW = dict(train=6, val=2, test=2)


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "coco"
    assert make_study_coco(root, num_images=FEW) == FEW
    return root


def test_the_number_of_workers_does_not_change_a_byte(study, tmp_path):
    make_study_coco(tmp_path / "again", num_images=FEW, num_workers=2)
    assert contents(tmp_path / "again") == contents(study)


def test_image_ids_are_distinct(study):
    files = study.glob("annotations/*.json")
    ids = [image["id"] for file in files for image in json.loads(file.read_text())["images"]]
    assert len(ids) == len(set(ids)) == sum(FEW.values())


def test_images_are_those_of_the_scenes(study):
    stored = cv2.imread(str(study / "train2017/000000000001.jpg"))
    assert np.abs(stored.astype(int) - render_study_scene("train", 0).image).mean() < 5


def test_refuses_data_of_other_arguments(study):
    before = contents(study)
    with pytest.raises(ValueError, match=r"study data of other arguments .*'seed': 1"):
        make_study_coco(study, num_images=FEW, seed=1)
    assert contents(study) == before


def test_refuses_a_negative_number_of_workers(tmp_path):
    with pytest.raises(ValueError, match="num_workers must not be negative, got -1"):
        make_study_coco(tmp_path / "coco", num_images=FEW, num_workers=-1)


def test_statistics_add_up(study, tmp_path):
    write_statistics(study, tmp_path)
    found = json.loads((tmp_path / "data.json").read_text())["splits"]
    assert found["train"] == count_split(study, "train")
    for split, count in FEW.items():
        part = found[split]
        assert part["images"] == count
        assert part["small"] + part["medium"] + part["large"] == pytest.approx(1, abs=0.002)
        assert sum(part["per_class"].values()) == part["objects"]
        assert tuple(part["per_class"]) == CLASSES
    assert (tmp_path / "data.jpg").stat().st_size < 300_000
    assert "| rook |" in (tmp_path / "data.md").read_text()


def test_statistics_of_no_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="make the data first"):
        count_split(tmp_path, "val")

import json

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.config import Config

from derain_plugin.files import partial_of
from projects.study.cli.make_toy_coco import main
from projects.study.toy import coco_folder as module
from projects.study.toy.coco_folder import make_toy_coco
from projects.study.toy.shapes import CLASSES

FEW = dict(train=4, val=2, test=3)


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "coco"
    assert make_toy_coco(root, num_images=FEW) == FEW
    return root


def test_the_same_arguments_give_the_same_files(toy, tmp_path):
    main([str(tmp_path / "again"), "--train", "4", "--val", "2", "--test", "3"])
    assert contents(tmp_path / "again") == contents(toy)


def test_another_seed_gives_other_images(toy, tmp_path):
    make_toy_coco(tmp_path / "other", num_images=FEW, seed=1)
    ours, other = contents(toy), contents(tmp_path / "other")
    assert ours.keys() == other.keys()
    assert all(ours[path] != other[path] for path in ours if path.suffix == ".jpg")


@pytest.mark.parametrize("split", FEW)
def test_mmdet_reads_it(toy, split):
    dataset = CocoDataset(
        ann_file=str(toy / f"annotations/instances_{split}2017.json"),
        data_prefix=dict(img=str(toy / f"{split}2017")),
        metainfo=dict(classes=CLASSES),
        filter_cfg=dict(filter_empty_gt=True),
    )
    assert len(dataset) == FEW[split]
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        assert cv2.imread(info["img_path"]).shape[:2] == (info["height"], info["width"])
        assert info["instances"]


def test_no_image_id_is_in_two_splits(toy):
    files = toy.glob("annotations/*.json")
    ids = [image["id"] for file in files for image in json.loads(file.read_text())["images"]]
    assert len(ids) == len(set(ids)) == sum(FEW.values())


@pytest.mark.parametrize("written", range(10))
def test_an_interrupted_run_continues(toy, tmp_path, monkeypatch, written):
    root, write, left = tmp_path / "coco", module.atomic_write, [written]

    def stop_after_some(path, content):
        if left[0] == 0:
            half = content[: len(content) // 2]
            partial_of(path).write_bytes(half.encode() if isinstance(half, str) else half)
            raise KeyboardInterrupt
        left[0] -= 1
        write(path, content)

    monkeypatch.setattr(module, "atomic_write", stop_after_some)
    with pytest.raises(KeyboardInterrupt):
        make_toy_coco(root, num_images=FEW)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*.jpg")}
    monkeypatch.setattr(module, "atomic_write", write)
    new = make_toy_coco(root, num_images=FEW)
    assert sum(new.values()) == sum(FEW.values()) - len(before)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert contents(root) == contents(toy)


@pytest.mark.parametrize(
    ("num_images", "seed", "message"),
    [
        (dict(FEW, val=0), 0, "at least 1 .*'val': 0"),
        (dict(train=1), 0, "train, val and test, got {'train': 1}"),
        (FEW, -1, "seed must not be negative, got -1"),
    ],
)
def test_refuses_bad_numbers(tmp_path, num_images, seed, message):
    with pytest.raises(ValueError, match=message):
        make_toy_coco(tmp_path / "coco", num_images=num_images, seed=seed)
    assert not (tmp_path / "coco").exists()


@pytest.mark.parametrize("name", ["mine.txt", "train2017/000000000001.jpg"])
def test_refuses_a_folder_that_it_did_not_make(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("precious")
    with pytest.raises(ValueError, match="not empty and was not made by this command"):
        make_toy_coco(tmp_path, num_images=FEW)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["precious"]


def test_refuses_toy_data_of_other_arguments(toy):
    before = contents(toy)
    with pytest.raises(ValueError, match=r"other arguments .*'seed': 0.*'seed': 1"):
        make_toy_coco(toy, num_images=FEW, seed=1)
    assert contents(toy) == before


def test_configs_name_the_classes():
    folder = module.Path(__file__).parents[4] / "projects/study/configs/toy/_base_"
    assert Config.fromfile(folder / "toy_coco.py").classes == CLASSES


def test_images_are_jpeg_of_good_quality(toy):
    scene = module.render_scene("train", 0)
    stored = cv2.imread(str(toy / "train2017/000000000001.jpg"))
    assert np.abs(stored.astype(int) - scene.image).mean() < 4

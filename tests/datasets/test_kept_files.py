"""Annotation files are read once while a run starts, and as they are on the disk."""

import json
import os
from pathlib import Path

import named_coco
import pytest
from mmdet.registry import DATASETS

from derain_plugin.datasets import RainMixDataset
from derain_plugin.datasets.annotations import read_annotations
from derain_plugin.datasets.checks.coco_check import check_datasets
from derain_plugin.datasets.kept_files import files_kept, forget_files
from derain_plugin.engine.hooks import ForgetFilesHook

OUTLINE = [[1, 2, 3, 4, 5, 6]]
LOAD = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
LOAD_MASKS = [LOAD[0], dict(LOAD[1], with_mask=True)]


@pytest.fixture
def path(tmp_path):
    content = named_coco.content()
    for annotation in content["annotations"]:
        annotation["segmentation"] = OUTLINE
    for folder in ("clean", "rainy"):
        (tmp_path / folder).mkdir()
        for image in content["images"]:
            (tmp_path / folder / image["file_name"]).touch()
    return named_coco.write(tmp_path / "a.json", content)


@pytest.fixture
def parsed(monkeypatch):
    """How often json is parsed."""
    calls = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda *a, **k: calls.append(a) or loads(*a, **k))
    return calls


def side(path, folder="clean", pipeline=LOAD, **options):
    prefix = dict(img=os.path.join(os.path.dirname(path), folder))
    return dict(
        type="NamedCocoDataset", ann_file=path, data_prefix=prefix, pipeline=pipeline,
        metainfo=dict(classes=("square", "disc")), **options,
    )  # fmt: skip


def test_is_read_again_where_nobody_keeps_it(path):
    assert read_annotations(path) is not read_annotations(path)


def test_is_read_once_until_it_is_forgotten(path):
    with files_kept():
        assert read_annotations(path) is (first := read_annotations(path))
        ForgetFilesHook().before_run(None)
        assert read_annotations(path) is not first
        assert read_annotations(path) is not read_annotations(path)
    assert read_annotations(path) is not read_annotations(path)


def test_a_file_that_changed_is_read_again(path):
    with files_kept():
        read_annotations(path)
        changed = named_coco.write(Path(path), named_coco.content(boxes={7: []}))
        assert [image["id"] for image in read_annotations(changed)["images"]] == [7]
    forget_files()


def test_outlines_are_another_content(path):
    with files_kept():
        assert "segmentation" not in read_annotations(path, outlines=False)["annotations"][0]
        assert read_annotations(path)["annotations"][0]["segmentation"] == OUTLINE


def test_check_sides_and_metric_read_a_file_once(path, parsed, monkeypatch):
    monkeypatch.setattr("derain_plugin.datasets.checks.coco_check._check_images", lambda *_: None)
    mix = dict(type="RainMixDataset", clean=side(path), rainy=side(path, "rainy"))
    with files_kept():
        check_datasets(dict(train_dataloader=dict(dataset=mix)), ("train_dataloader",))
        DATASETS.build(mix)
        found = named_coco.truth(path)
        parsed.clear()
        assert named_coco.average_precision(path, found) == 1.0
    assert parsed == []


INSIDE = [*LOAD, dict(type="RandomApply", transforms=LOAD_MASKS[-1:])]


@pytest.mark.parametrize(
    ("pipeline", "has_masks"),
    [(LOAD, False), (LOAD_MASKS, True), (INSIDE, True), ([], True), (LOAD[:1], True)],
)
def test_outlines_are_there_where_they_are_loaded(path, pipeline, has_masks):
    instance = DATASETS.build(side(path, pipeline=pipeline)).get_data_info(0)["instances"][0]
    assert instance.get("mask") == (OUTLINE if has_masks else None)


@pytest.mark.parametrize("serialize_data", [True, False])
def test_a_rainy_copy_shares_the_annotations(path, parsed, serialize_data):
    options = dict(serialize_data=serialize_data)
    mix = RainMixDataset(side(path, **options), side(path, "rainy", **options))
    assert len(parsed) == 1
    alone = {name: DATASETS.build(side(path, name)) for name in ("clean", "rainy")}
    for epoch in range(4):
        mix.set_epoch(epoch)
        for index in range(2):
            info = mix.get_data_info(index)
            name = "rainy" if info.pop("rainy") else "clean"
            assert info == alone[name].get_data_info(index)


@pytest.mark.parametrize(
    "rainy",
    [dict(pipeline=LOAD_MASKS), dict(filter_cfg=dict(min_size=1))],
    ids=["masks", "another filter"],
)
def test_sides_that_read_other_things_share_nothing(path, parsed, rainy):
    RainMixDataset(side(path), side(path, "rainy", **rainy))
    assert len(parsed) == 2


def test_absolute_file_names_are_not_moved(path, parsed):
    content = json.loads(Path(path).read_text())
    for image in content["images"]:
        folder = os.path.join(os.path.dirname(path), "clean")
        image["file_name"] = os.path.join(folder, image["file_name"])
    named_coco.write(Path(path), content)
    parsed.clear()
    with pytest.raises(ValueError, match=r"no file name in common|leads out of the image folder"):
        RainMixDataset(side(path), side(path, "rainy"))
    assert len(parsed) == 2

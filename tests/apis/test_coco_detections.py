import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from derain_plugin.apis import CocoDetections
from derain_plugin.apis.video import Frame
from derain_plugin.datasets.labels.classes import COCO_NAMES

IMAGE = np.zeros((60, 80, 3), np.uint8)


def found(*labels):
    return InstanceData(
        bboxes=torch.tensor([[1.0, 2.0, 11.5, 22.0]]).repeat(len(labels), 1),
        scores=torch.full((len(labels),), 0.75),
        labels=torch.tensor(labels, dtype=torch.long),
    )


def written(tmp_path, detections):
    detections.write(tmp_path / "deep/found.json")
    return json.loads((tmp_path / "deep/found.json").read_text())


def test_pycocotools_reads_it(tmp_path):
    detections = CocoDetections(("square", "disc"), info=dict(config="a.py"))
    detections.add(Path("in/a.jpg"), IMAGE, found(1, 0))
    detections.add(Path("in/empty.jpg"), IMAGE, found())
    content = written(tmp_path, detections)
    truth = COCO(str(tmp_path / "deep/found.json"))
    assert [image["file_name"] for image in truth.loadImgs([1, 2])] == ["in/a.jpg", "in/empty.jpg"]
    assert (truth.imgs[1]["width"], truth.imgs[1]["height"]) == (80, 60)
    assert {c["id"]: c["name"] for c in truth.dataset["categories"]} == {1: "square", 2: "disc"}
    first = truth.loadAnns(truth.getAnnIds(imgIds=[1], catIds=[2]))
    box = dict(bbox=[1, 2, 10.5, 20], area=210, iscrowd=0, score=0.75)
    assert first == [dict(id=1, image_id=1, category_id=2, **box)]
    results = truth.loadRes(content["annotations"])
    assert len(results.getAnnIds()) == 2
    assert not results.getAnnIds(imgIds=[2])
    assert content["info"] == dict(config="a.py")


def test_frames_say_when_they_are(tmp_path):
    detections = CocoDetections(("square",), info={})
    for index in (7, 8):
        detections.add(Path("a.avi"), IMAGE, found(), frame=Frame(IMAGE, index, index / 30, 1 / 30))
    images = written(tmp_path, detections)["images"]
    assert [image["frame_index"] for image in images] == [7, 8]
    assert [image["seconds"] for image in images] == [0.233, 0.267]
    assert [image["id"] for image in images] == [1, 2]


@pytest.mark.parametrize(
    ("classes", "ids"),
    [
        (COCO_NAMES, [1, *range(2, 12), 13]),
        (("truck", "person"), [8, 1]),
        (("truck", "person", "tram"), [1, 2, 3]),
    ],
)
def test_classes_of_coco_have_its_ids(tmp_path, classes, ids):
    content = written(tmp_path, CocoDetections(classes, info={}))
    assert [category["id"] for category in content["categories"]][: len(ids)] == ids
    assert [category["name"] for category in content["categories"]] == list(classes)

import json

import numpy as np
import pytest
from mmdet.datasets import CocoDataset

from derain_plugin.datasets import NamedCocoDataset
from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.saved_predictions import SavedPredictions

ANNOTATION = dict(
    id=1, image_id=4, category_id=9, bbox=[1, 2, 3, 4], area=12, segmentation=[[1, 2, 3]]
)
CONTENT = dict(
    images=[dict(id=i, file_name=f"{i}.jpg", width=20, height=20) for i in (4, 2)],
    annotations=[ANNOTATION, dict(ANNOTATION, id=2, iscrowd=1), dict(ANNOTATION, id=3, image_id=2)],
    categories=[dict(id=9, name="disc"), dict(id=3, name="square"), dict(id=5, name="ring")],
)


def written(tmp_path, content=CONTENT):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("classes", [None, ["ring", "disc"], ["square", "disc", "ring"]])
@pytest.mark.parametrize("kind", [NamedCocoDataset, CocoDataset])
def test_labels_as_the_dataset_numbers_them(tmp_path, kind, classes):
    """Predictions that do not name their classes are of mmdet's own dataset."""
    path = written(tmp_path)
    dataset = kind(
        ann_file=str(path),
        data_prefix=dict(img=""),
        metainfo=dict(classes=classes or ["disc", "square", "ring"]),
        pipeline=[],
        test_mode=True,
    )
    named = None if kind is CocoDataset else dataset.metainfo["classes"]
    assert CocoTruth(path).labels_of(predictions(named), classes) == dataset.cat_ids


def predictions(classes):
    nothing = np.zeros(0)
    return SavedPredictions("a.pkl", nothing, nothing, nothing, nothing, nothing, classes)


def test_predictions_of_other_classes(tmp_path):
    with pytest.raises(ValueError, match=r"a.pkl was tested .* \(disc, ring\), not \(disc\)"):
        CocoTruth(written(tmp_path)).labels_of(predictions(("disc", "ring")), ["disc"])


def test_annotations_by_image(tmp_path):
    truth = CocoTruth(written(tmp_path))
    assert truth.image_ids == {2, 4}
    found = truth.annotations_of([2, 4])
    assert [(ann["id"], ann["iscrowd"]) for ann in found] == [(3, 0), (1, 0), (2, 1)]
    assert truth.annotations_of([2])[0]["bbox"] == [1, 2, 3, 4]
    assert truth.annotations_of([77]) == []


def test_unknown_class(tmp_path):
    with pytest.raises(ValueError, match=r"no category 'car'; it has 'disc'"):
        CocoTruth(written(tmp_path)).category_ids(["disc", "car"])


@pytest.mark.parametrize("content", [[], {}, dict(CONTENT, annotations=[dict(id=1)]), 5])
def test_other_json(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=r"instances.json is not a COCO annotation file"):
        CocoTruth(path)


def test_file_that_is_no_json(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\x80\x02")
    with pytest.raises(ValueError, match=r"a.json is not a COCO annotation file"):
        CocoTruth(path)
    with pytest.raises(FileNotFoundError, match=r"b.json is not a file"):
        CocoTruth(tmp_path / "b.json")

import pickle

import numpy as np
import pytest
import torch
from mmdet.evaluation import DumpDetResults
from mmdet.structures import DetDataSample
from mmengine.fileio import dump
from mmengine.structures import InstanceData

from derain_plugin.evaluation.saved_predictions import load_predictions

BOXES = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [0, 0, 9, 9]])


def sample(image_id: int, count: int = 1, **others) -> dict:
    found = dict(
        bboxes=BOXES[:count] + image_id,
        scores=torch.linspace(0.9, 0.1, 3)[:count],
        labels=torch.arange(count),
    )
    return dict(img_id=image_id, pred_instances=found, **others)


def saved(tmp_path, samples):
    path = tmp_path / "predictions.pkl"
    dump(samples, path)
    return path


def test_what_mmdet_dumps(tmp_path):
    path = tmp_path / "predictions.pkl"
    metric = DumpDetResults(out_file_path=str(path))
    for image_id, count in ((5, 2), (3, 0)):
        data = DetDataSample(
            metainfo=dict(img_id=image_id, ori_shape=(4, 5), homography_matrix=np.eye(3))
        )
        data.gt_instances = InstanceData(bboxes=BOXES)
        data.pred_instances = InstanceData(**sample(image_id, count)["pred_instances"])
        metric.process(None, [data.to_dict()])
    metric.evaluate(size=2)

    loaded = load_predictions(path)
    assert list(loaded) == ["test"]
    found = loaded["test"]
    assert found.image_ids.tolist() == [3, 5]
    assert found.counts.tolist() == [0, 2]
    assert found.boxes.tolist() == (BOXES[:2] + 5).tolist()
    assert found.scores.tolist() == sample(5, 2)["pred_instances"]["scores"].tolist()
    assert found.labels.tolist() == [0, 1]


def test_conditions_in_the_order_of_the_file(tmp_path):
    samples = [sample(i, dataset=name) for name in ("clean", "a", "b") for i in (2, 1)]
    loaded = load_predictions(saved(tmp_path, samples))
    assert list(loaded) == ["clean", "a", "b"]
    assert all(part.image_ids.tolist() == [1, 2] for part in loaded.values())
    assert loaded["a"].boxes[:, 0].tolist() == [2, 3]


def test_bfloat16_and_no_detections_at_all(tmp_path):
    half = sample(1, 3)
    half["pred_instances"]["scores"] = half["pred_instances"]["scores"].bfloat16()
    assert load_predictions(saved(tmp_path, [half]))["test"].scores.dtype == np.float32
    nothing = load_predictions(saved(tmp_path, [sample(1, 0)]))["test"]
    assert nothing.boxes.shape == (0, 4)


def test_split(tmp_path):
    samples = [sample(i, count) for i, count in enumerate([1, 0, 3, 2, 0])]
    whole = load_predictions(saved(tmp_path, samples))["test"]
    pieces = list(whole.split(2))
    assert [len(piece.image_ids) for piece in pieces] == [2, 2, 1]
    assert [len(piece.scores) for piece in pieces] == [1, 5, 0]
    for name in ("image_ids", "counts", "boxes", "scores", "labels"):
        joined = np.concatenate([getattr(piece, name) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(whole, name))


def with_instances(**found) -> dict:
    return dict(img_id=1, pred_instances=sample(1)["pred_instances"] | found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "a list with a dict"),
        ({"state_dict": {}}, "a list with a dict"),
        ([3], "no tensor or no entry"),
        ([dict(pred_instances={})], "img_id"),
        ([dict(img_id=1)], "pred_instances"),
        ([dict(img_id=1, pred_instances=dict(bboxes=BOXES))], "scores"),
        ([with_instances(scores=[0.5])], "no tensor"),
        ([with_instances(scores=np.ones(1))], "no tensor"),
        ([dict(sample(1), img_id="a.jpg")], "'a.jpg'"),
        ([with_instances(labels=torch.zeros(2))], r"image 1 have shapes"),
        ([with_instances(bboxes=BOXES[0], scores=BOXES[0, 0], labels=BOXES[0, 0])], r"\(4,\)"),
        ([with_instances(bboxes=torch.zeros(1, 5))], r"\(1, 5\)"),
        ([dict(sample(1), box=DetDataSample())], "DetDataSample"),
    ],
)
def test_other_content(tmp_path, content, reason):
    path = saved(tmp_path, content)
    with pytest.raises(ValueError, match=rf"predictions.pkl does not hold predictions.*{reason}"):
        load_predictions(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02]", b"{'json': 1}", b"PK\x03\x04"])
def test_damaged_file(tmp_path, content):
    path = tmp_path / "damaged.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged.pkl does not hold predictions"):
        load_predictions(path)


def test_truncated_file(tmp_path):
    path = saved(tmp_path, [sample(1), sample(2)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="truncated"):
        load_predictions(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.pkl is not a file"):
        load_predictions(tmp_path / "nowhere.pkl")


def test_an_image_twice(tmp_path):
    samples = [sample(i, dataset="clean") for i in (1, 2, 1)]
    with pytest.raises(ValueError, match=r"\(clean\): image 1 was predicted more than once"):
        load_predictions(saved(tmp_path, samples))


def test_code_does_not_run(tmp_path):
    path, marker = tmp_path / "evil.pkl", tmp_path / "it_ran"
    path.write_bytes(b"cos\nmkdir\n(V" + str(marker).encode() + b"\ntR.")
    with pytest.raises(ValueError, match=r"evil.pkl.*it would call os.mkdir"):
        load_predictions(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()

"""How many detections of an image count: 100, in tools/test.py and tools/compare_results.py."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS

from derain_plugin import load_config
from derain_plugin.evaluation.image_matches import MAX_DETECTIONS, match_images
from derain_plugin.evaluation.saved_predictions import SavedPredictions
from derain_plugin.evaluation.weighted_ap import WeightedAp

BOXES = 120
CONFIG = Path(__file__).parents[2] / "configs/rtdetr_r18_coco.py"


def crowded():
    """An image of 120 small boxes, each found exactly."""
    x, y = np.meshgrid(np.arange(12), np.arange(10))
    return np.stack([x.ravel() * 10, y.ravel() * 10, np.full(BOXES, 8), np.full(BOXES, 8)], 1)


def annotations(boxes):
    return [
        dict(id=i, image_id=1, category_id=1, bbox=list(map(float, box)), area=64.0, iscrowd=0)
        for i, box in enumerate(boxes, start=1)
    ]


@pytest.fixture(scope="module")
def by_test(tmp_path_factory):
    """What the metric of our configs says."""
    boxes, ann_file = crowded(), tmp_path_factory.mktemp("coco") / "crowded.json"
    images = [dict(id=1, file_name="1.jpg", width=120, height=100)]
    categories = [dict(id=1, name="disc")]
    content = dict(images=images, annotations=annotations(boxes), categories=categories)
    ann_file.write_text(json.dumps(content))
    config = load_config(str(CONFIG))
    metric = METRICS.build(dict(config.val_evaluator.metrics[0], ann_file=str(ann_file)))
    metric.dataset_meta = dict(classes=("disc",))
    corners = torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + 8], 1)).float()
    found = dict(
        bboxes=corners, scores=torch.linspace(1, 0.1, BOXES), labels=torch.zeros(BOXES, dtype=int)
    )
    metric.process({}, [dict(img_id=1, ori_shape=(100, 120), pred_instances=found)])
    return metric.evaluate(size=1)


@pytest.mark.parametrize(
    ("name", "thresholds", "area"),
    [
        ("mAP", np.linspace(0.5, 0.95, 10), "all"),
        ("mAP_50", [0.5], "all"),
        ("mAP_75", [0.75], "all"),
        ("mAP_s", np.linspace(0.5, 0.95, 10), "small"),
    ],
)
def test_all_metrics_of_both_commands_count_as_many(by_test, name, thresholds, area):
    boxes = crowded().astype(np.float32)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + 8], 1)
    predictions = SavedPredictions(
        "test.pkl", np.array([1]), np.array([BOXES]), corners,
        np.linspace(1, 0.1, BOXES).astype(np.float32), np.zeros(BOXES, int),
    )  # fmt: skip
    matches = match_images(
        predictions,
        annotations(boxes),
        category_ids=[1],
        iou_thresholds=np.array(thresholds),
        area=area,
    )
    recalls = np.linspace(0, 1, 101)
    expected = (recalls <= MAX_DETECTIONS / BOXES).mean()  # 0.832, of all detections 1
    assert WeightedAp(matches)(np.ones(1, int)) == pytest.approx(expected)
    assert by_test[f"coco/bbox_{name}"] == pytest.approx(expected, abs=5e-4)

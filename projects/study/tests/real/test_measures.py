"""AP of saved detections, as pycocotools has it."""

import contextlib
import io
import json
import pickle

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from projects.study.real.measures import measure
from projects.study.resampled_ap import unpacked

CLASSES = ("person", "car", "truck")
CATEGORIES = {3: "car", 8: "truck", 1: "person"}


def boxes_of(rng, count):
    corners = rng.uniform(0, 60, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(10, 40, (count, 2))], 1)


@pytest.fixture
def files(tmp_path):
    """Truth of six photos without persons, and detections near it, in another order."""
    rng, annotations, samples = np.random.default_rng(0), [], []
    for image_id in range(1, 7):
        truth, labels = boxes_of(rng, 4), rng.integers(1, 3, 4)
        for box, label in zip(truth, labels, strict=True):
            x1, y1, x2, y2 = box.tolist()
            annotations.append(
                dict(
                    id=len(annotations) + 1, image_id=image_id, iscrowd=0,
                    category_id=(1, 3, 8)[label], bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=(x2 - x1) * (y2 - y1),
                )
            )  # fmt: skip
        found = np.concatenate([truth + rng.normal(0, 2, truth.shape), boxes_of(rng, 3)])
        samples.append(
            dict(
                img_id=image_id,
                dataset="set",
                classes=CLASSES,
                pred_instances=dict(
                    bboxes=torch.tensor(found),
                    scores=torch.tensor(rng.permutation(7) / 10 + 0.01 * image_id),
                    labels=torch.tensor([*labels, 0, 1, 2]),
                ),
            )
        )
    content = dict(
        images=[dict(id=i, file_name=f"{i}.png", width=100, height=100) for i in range(1, 7)],
        categories=[dict(id=i, name=name) for i, name in CATEGORIES.items()],
        annotations=annotations,
    )
    (tmp_path / "truth.json").write_text(json.dumps(content))
    (tmp_path / "found.pkl").write_bytes(pickle.dumps(samples[::-1]))
    return tmp_path / "found.pkl", tmp_path / "truth.json", samples


def evaluated(truth, samples, categories):
    results = [
        dict(
            image_id=sample["img_id"], category_id=(1, 3, 8)[label], score=score,
            bbox=[x1, y1, x2 - x1, y2 - y1],
        )
        for sample in samples
        for (x1, y1, x2, y2), score, label in zip(
            *(sample["pred_instances"][name].tolist() for name in ("bboxes", "scores", "labels")),
            strict=True,
        )
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def test_measures_are_those_of_pycocotools(files):
    found, truth, samples = files
    measured = measure(found, truth, resamples=3)
    everything, cars = (evaluated(truth, samples, ids) for ids in ([1, 3, 8], [3]))
    assert measured["measures"] == pytest.approx(
        {"AP": everything[0], "AP50": everything[1], "car AP": cars[0]}, abs=1e-5
    )
    assert 0.1 < cars[0] != everything[0]
    assert measured["num_images"] == 6


def test_resamples_are_of_photos_and_the_same_for_every_detector(files):
    found, truth, samples = files
    first = measure(found, truth, resamples=40)
    for sample in samples:
        sample["pred_instances"]["scores"] = sample["pred_instances"]["scores"] / 2
    found.write_bytes(pickle.dumps(samples))
    second = measure(found, truth, resamples=40)
    assert first == second
    draws = unpacked(first["measures"]["car AP"], first["bootstrap"]["car AP"])
    assert draws.std() > 0.01
    assert draws.min() < first["measures"]["car AP"] < draws.max()


def test_a_class_without_boxes_is_not_measured(files):
    found, truth, _ = files
    content = json.loads(truth.read_text())
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] != 3]
    truth.write_text(json.dumps(content))
    assert set(measure(found, truth, resamples=2)["measures"]) == {"AP", "AP50"}

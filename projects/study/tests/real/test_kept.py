"""What a detector keeps of its own clean detections."""

import json
import pickle

import pytest
import torch

from derain_plugin.evaluation.saved_predictions import load_predictions
from projects.study.real import kept
from projects.study.real.measures import measure

IMAGES = [dict(id=i, file_name=f"{i}.png", width=400, height=300) for i in (1, 2)]


def save(path, scores):
    """Save three detections in the first image; the second has none."""
    boxes = torch.tensor([[10.0, 10, 50, 40], [100, 10, 150, 90], [200, 20, 260, 70]])
    samples = [
        dict(
            img_id=number,
            dataset="set",
            classes=("person", "car"),
            pred_instances=dict(
                bboxes=boxes if number == 1 else boxes[:0],
                scores=torch.tensor(scores if number == 1 else []),
                labels=torch.tensor([0, 1, 1] if number == 1 else [], dtype=torch.long),
            ),
        )
        for number in (1, 2)
    ]
    path.write_bytes(pickle.dumps(samples))
    return path


def test_sure_detections_become_the_truth(tmp_path):
    (saved,) = load_predictions(save(tmp_path / "own.pkl", [0.9, 0.8, 0.2])).values()
    truth = kept.as_truth(saved, IMAGES)
    assert [each["category_id"] for each in truth["annotations"]] == [1, 2]
    assert truth["annotations"][1]["bbox"] == [100, 10, 50, 80]
    assert truth["categories"] == [dict(id=1, name="person"), dict(id=2, name="car")]
    assert truth["images"] == IMAGES


@pytest.mark.parametrize(("scores", "expected"), [([0.9, 0.8, 0.2], 1.0), ([0.1, 0.8, 0.9], 0.75)])
def test_a_detector_keeps_all_of_its_own(scores, expected, tmp_path):
    """And loses half of a class's precision by one surer wrong detection."""
    own, other = save(tmp_path / "own.pkl", [0.9, 0.8, 0.2]), save(tmp_path / "other.pkl", scores)
    (saved,) = load_predictions(own).values()
    (tmp_path / "truth.json").write_text(json.dumps(kept.as_truth(saved, IMAGES)))
    found = measure(other, tmp_path / "truth.json", resamples=2)["measures"]
    assert found["AP"] == pytest.approx(expected)


def test_the_table_has_means_over_seeds():
    rows = [
        dict(title="arm", seed=seed, photos="COCO val", AP=ap, AP50=0.9)
        for seed, ap in ((1, 0.8), (2, 0.9))
    ]
    assert kept.table(rows).splitlines()[-1] == "| arm | 2 | 0.850 | 0.900 |"

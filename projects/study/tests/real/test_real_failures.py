"""Cars that are found, by size."""

import json
import pickle

import pytest
import torch

from projects.study.real import failures

SIDES = (20, 50, 120, 120)  # px: one small, one medium, two large cars


@pytest.fixture
def files(tmp_path):
    """A photo whose small car is missed, one large one found unsurely; and a wrong detection."""
    boxes = [[200.0 * i, 0.0, side, side] for i, side in enumerate(SIDES)]
    truth = dict(
        images=[dict(id=i, file_name=f"{i}.png", width=900, height=300) for i in (1, 2)],
        categories=[dict(id=3, name="car"), dict(id=1, name="person")],
        annotations=[
            dict(id=i, image_id=1, category_id=3, bbox=box, area=box[2] * box[3], iscrowd=0)
            for i, box in enumerate(boxes, 1)
        ],
    )
    found = [[x, y, x + w, y + h] for x, y, w, h in boxes[1:]]
    found += [[0.0, 200.0, 50.0, 250.0], [400.0, 0.0, 520.0, 120.0]]
    scores, labels = [0.9, 0.8, 0.2, 0.7, 0.9], [1, 1, 1, 1, 0]
    samples = [
        dict(
            img_id=number,
            dataset="set",
            classes=("person", "car"),
            pred_instances=dict(
                bboxes=torch.tensor(found if number == 1 else found[:0]).reshape(-1, 4),
                scores=torch.tensor(scores if number == 1 else []),
                labels=torch.tensor(labels if number == 1 else [], dtype=torch.long),
            ),
        )
        for number in (1, 2)
    ]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.pkl").write_bytes(pickle.dumps(samples))
    return tmp_path / "found.pkl", tmp_path / "truth.json"


def test_cars_are_counted_by_size(files):
    found = failures.cars_found(*files)
    assert found == dict(
        photos=2,
        sizes=dict(
            small=dict(boxes=1, found=0),
            medium=dict(boxes=1, found=1),
            large=dict(boxes=2, found=1),
        ),
        wrong=1,
    )
    twice = failures.together([found, dict(found, wrong=3)])
    assert twice == dict(small=0, medium=1, large=0.5, all=0.5, wrong=1)


def test_table_and_figure(tmp_path):
    rows = {
        (name, arm): dict(small=0.1, medium=0.5, large=0.9, all=0.6, wrong=0.25)
        for name in ("DAWN rain", "DAWN fog")
        for arm in ("vanilla", "neck")
    }
    assert failures.table(rows).splitlines()[-1].startswith("| DAWN fog | neck | 0.100 | 0.500 |")
    failures.draw(rows, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")

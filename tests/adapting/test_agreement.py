"""AP against the detector's own clean detections."""

import math
from contextlib import contextmanager

import pytest
import torch
from mmengine.structures import InstanceData

from derain_plugin.adapting.agreement import measure_agreement


def found(boxes, scores, labels) -> InstanceData:
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.int64),
    )


class Scripted:
    """Finds two boxes on clean photos; in rain one of them, with its neck both."""

    is_plain = False

    def __init__(self, boxes=((0, 0, 20, 20), (30, 10, 60, 40))):
        self.boxes = boxes

    @contextmanager
    def plain(self):
        self.is_plain = True
        yield
        self.is_plain = False

    def detect(self, image):
        kept = 1 if (image == 0).all() and self.is_plain else 2
        boxes = self.boxes[:kept]
        return found(boxes, [0.9, 0.8][: len(boxes)], [3, 5][: len(boxes)])


def black(image, severity, *, seed):
    return image * 0


def test_ap_of_what_is_still_found(photos):
    agreement = measure_agreement(Scripted(), photos[:2], renderer=black)
    assert agreement.before == pytest.approx({0: 1.0} | dict.fromkeys(range(1, 6), 0.5))
    assert agreement.after == pytest.approx(dict.fromkeys(range(6), 1.0))
    assert (agreement.num_objects, agreement.num_photos) == (4, 2)
    lines = agreement.table().splitlines()
    assert "own clean detections" in lines[0]
    assert lines[-1].split() == ["severity", "5", "0.500", "1.000", "+0.500"]


def test_unsure_detections_are_no_objects(photos):
    agreement = measure_agreement(Scripted(), photos[:2], renderer=black, score=0.85)
    assert agreement.num_objects == 2


def test_a_detector_that_finds_nothing_has_no_agreement(photos):
    agreement = measure_agreement(Scripted(boxes=()), photos[:1], renderer=black)
    assert agreement.num_objects == 0
    assert math.isnan(agreement.after[0])
    assert agreement.record()["after"]["0"] is None

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from derain_plugin.apis import Annotator

IMAGE = np.full((330, 400, 3), 128, np.uint8)


class FixedDetector:
    """Finds a square, a disc and a faint disc in everything."""

    name, classes, palette, records_masks = "fixed", ("square", "disc"), "random", False

    def detect(self, image):
        boxes = torch.tensor([[10.0, 10, 90, 90], [110, 10, 190, 90], [210, 10, 290, 90]])
        scores, labels = torch.tensor([0.9, 0.8, 0.1]), torch.tensor([0, 1, 1])
        return InstanceData(bboxes=boxes, scores=scores, labels=labels)

    def labels_of(self, names):
        return [0, 1] if names is None else [self.classes.index(name) for name in names]

    def take_masks(self):
        return None


def painted_thirds(image):
    """Whether something is painted where each of the three lies."""
    return [bool((image[:100, x : x + 100] != 128).any()) for x in (0, 100, 200)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (dict(score_thr=0.0), [True, True, True]),
        (dict(score_thr=0.4), [True, True, False]),
        (dict(score_thr=0.4, classes=["disc"]), [False, True, False]),
        (dict(score_thr=0.0, classes=["disc"]), [False, True, True]),
    ],
)
def test_shows_and_returns_what_was_chosen(options, expected):
    image, found = Annotator([FixedDetector()], **options).annotate(IMAGE)
    assert painted_thirds(image) == expected
    assert len(found) == sum(expected)


def test_times_each_detector():
    annotator = Annotator([FixedDetector(), FixedDetector()], score_thr=0.4)
    image, _ = annotator.annotate(IMAGE)
    assert image.shape[1] == 804
    assert all(seconds > 0 for seconds in annotator.seconds)

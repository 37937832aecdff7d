"""Two detectors without weights."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from torch import nn

from derain_plugin.app.comparison import Comparison


class FixedDetector:
    """Find one object, which scores 0.5, and a second one in images of even grey."""

    classes = ("thing",)
    palette = "random"
    model = nn.Identity()

    def __init__(self, name):
        self.name = name
        self.images = []

    def detect(self, image):
        self.images.append(image)
        count = 1 if np.ptp(image) else 2
        return InstanceData(
            bboxes=torch.tensor([[2.0, 2, 20, 20], [30, 30, 50, 50]])[:count],
            scores=torch.tensor([0.5, 0.9])[:count],
            labels=torch.zeros(count, dtype=torch.long),
        )

    def labels_of(self, names):
        return [0]


@pytest.fixture
def comparison():
    return Comparison(FixedDetector("vanilla"), FixedDetector("derained"))


@pytest.fixture
def grey():
    return np.full((60, 80, 3), 90, np.uint8)

"""The distance of a detector in rain from itself."""

import math

import pytest
import torch

from derain_plugin.adapting.dense_outputs import DenseOutput
from derain_plugin.adapting.losses import (
    LossWeights,
    adaptation_losses,
    box_distance,
    class_distance,
)


def sure(logit: float, rows: int = 1) -> DenseOutput:
    return DenseOutput(torch.full((1, rows, 1), logit), torch.zeros(1, rows, 4))


def test_class_distance_is_the_kl_divergence_per_sure_object():
    teacher, student = sure(0.0, rows=4), sure(math.log(3), rows=4)  # 1/2 and 3/4
    row = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert class_distance(student, teacher).item() == pytest.approx(4 * row / 2)
    assert class_distance(teacher, teacher).item() == 0


def test_softmax_rows_exclude_each_other():
    teacher = DenseOutput(torch.tensor([[[0.9, 0.1]]]).log(), torch.zeros(1, 1, 4), None, True)
    student = teacher._replace(logits=torch.tensor([[[0.5, 0.5]]]).log())
    assert teacher.confidence.item() == pytest.approx(0.9)
    expected = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert class_distance(student, teacher).item() == pytest.approx(expected)


def test_with_objectness_classes_count_only_where_there_is_an_object():
    nothing = DenseOutput(torch.zeros(1, 1, 2), torch.zeros(1, 1, 4), torch.full((1, 1, 1), -20.0))
    other = nothing._replace(logits=torch.full((1, 1, 2), 5.0))
    assert class_distance(other, nothing).item() == pytest.approx(0, abs=1e-6)
    seen = nothing._replace(quality=torch.full((1, 1, 1), 20.0))
    assert class_distance(other._replace(quality=seen.quality), seen).item() > 0.5


def test_box_distance_has_no_unit_and_weighs_by_confidence():
    boxes = torch.tensor([[[0.0] * 4, [2.0] * 4]])  # deviation 1
    logits = torch.tensor([[[20.0], [-20.0]]])
    teacher = DenseOutput(logits, boxes)
    for unit in (1.0, 640.0):
        target = teacher._replace(boxes=boxes * unit)
        near = target._replace(boxes=target.boxes + unit * torch.tensor([[[0.5], [0.0]]]))
        far = target._replace(boxes=target.boxes + unit * torch.tensor([[[0.0], [9.0]]]))
        assert box_distance(near, target).item() == pytest.approx(0.5)
        assert box_distance(far, target).item() == pytest.approx(0, abs=1e-6)


def test_weights_scale_and_leave_out():
    feats, other = [torch.randn(1, 3, 5, 7)], [torch.randn(1, 3, 5, 7)]
    pair = (feats, [sure(1.0)]), (other, [sure(0.0)])
    once = adaptation_losses(*pair, LossWeights())
    twice = adaptation_losses(*pair, LossWeights(features=2.0, boxes=0))
    assert twice["loss_features"] == 2 * once["loss_features"]
    assert set(once) - set(twice) == {"loss_boxes"}
    assert set(adaptation_losses((feats, []), (other, []), LossWeights())) == {"loss_features"}


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1"])
def test_weights_are_numbers(value):
    with pytest.raises(ValueError, match="the weight of boxes must be a number from 0"):
        LossWeights(boxes=value)
    with pytest.raises(ValueError, match="above 0"):
        LossWeights(0, 0, 0)

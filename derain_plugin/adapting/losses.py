"""How far a detector in rain is from itself on the clean image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from derain_plugin.adapting.dense_outputs import DenseOutput
from derain_plugin.models.detectors.twin_supervised_rtdetr import feature_consistency_loss


@dataclass(frozen=True)
class LossWeights:
    """Factors on the parts of the loss; 0 leaves a part out.

    Attributes:
        features: Squared distance of the features after the detector's own neck, in units of the
            teacher's variance per channel.
        classes: KL divergence of the class scores, and of objectness or centerness.
        boxes: L1 distance of the raw boxes, in units of the teacher's deviation.
        detection: The detector's own loss in rain; with labels only.

    Raises:
        ValueError: A factor is negative or not finite, or the first three are 0.
    """

    features: float = 1.0
    classes: float = 1.0
    boxes: float = 1.0
    detection: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"the weight of {name} must be a number from 0, got {value!r}")
        if not any((self.features, self.classes, self.boxes)):
            raise ValueError("one of the weights of features, classes and boxes must be above 0")


def adaptation_losses(
    student: tuple[Sequence[Tensor], Sequence[DenseOutput]],
    teacher: tuple[Sequence[Tensor], Sequence[DenseOutput]],
    weights: LossWeights,
) -> dict[str, Tensor]:
    """Return the weighted losses.

    Args:
        student: Features after the neck and outputs of the heads, in rain, with the de-rain neck.
        teacher: The same on the clean image without it; no gradients go there.
        weights: Of the parts.

    Returns:
        ``loss_features``, and where there are outputs ``loss_classes`` and ``loss_boxes``, of all
        heads together; float32. Those with weight 0 are left out.
    """
    losses = {}
    if weights.features:
        losses["loss_features"] = weights.features * feature_consistency_loss(
            student[0], teacher[0]
        )
    pairs = list(zip(student[1], teacher[1], strict=True))
    for name, loss in (("classes", class_distance), ("boxes", box_distance)):
        if pairs and (weight := getattr(weights, name)):
            losses[f"loss_{name}"] = weight * torch.stack([loss(*pair) for pair in pairs]).sum()
    return losses


def class_distance(student: DenseOutput, teacher: DenseOutput) -> Tensor:
    """Return the KL divergence of the student's scores from the teacher's, per sure object.

    The sum over all rows is divided by the sum of the teacher's confidence. Where a head has a
    quality of its own (objectness), class scores count by the confidence, as they mean nothing
    where there is no object.
    """
    confidence = teacher.confidence
    if student.is_softmax:
        rows = F.kl_div(
            student.logits.float().log_softmax(-1),
            teacher.logits.float().log_softmax(-1),
            reduction="none",
            log_target=True,
        ).sum(-1)
    else:
        rows = _binary_divergence(student.logits, teacher.logits)
    if student.quality is not None and teacher.quality is not None:
        rows = confidence * rows + _binary_divergence(student.quality, teacher.quality)
    return rows.sum() / _total(confidence)


def box_distance(student: DenseOutput, teacher: DenseOutput) -> Tensor:
    """Return the mean L1 distance of boxes, weighted by the teacher's confidence.

    In units of the deviation of the teacher's boxes in the batch, per coordinate: heads regress
    pixels, strides, logarithms or distributions.
    """
    target = teacher.boxes.float()
    deviation = target.std((0, 1), correction=0) + torch.finfo(torch.float32).eps
    distance = ((student.boxes.float() - target).abs() / deviation).mean(-1)
    confidence = teacher.confidence
    return (confidence * distance).sum() / _total(confidence)


def _binary_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return KL(teacher || student) of independent logits ``(N, L, C)``, summed over C."""
    target = teacher.float().sigmoid()
    crossed = F.binary_cross_entropy_with_logits(student.float(), target, reduction="none")
    least = F.binary_cross_entropy_with_logits(teacher.float(), target, reduction="none")
    return (crossed - least).sum(-1)


def _total(confidence: Tensor) -> Tensor:
    return confidence.sum().clamp(min=1.0)

"""The detector's own training loss, of labelled photographs in rain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.models.rtdetr.parts import inputs_of, without_encoder


def require_loss(model: Any) -> None:
    """Refuse a detector that cannot compute its loss.

    Raises:
        ValueError: One of mmdet was built without ``train_cfg``.
    """
    if isinstance(model, BaseDetector) and _lacks_assigner(model):
        raise ValueError(
            f"the {type(model).__name__} was built without train_cfg, so it cannot be trained with "
            "labels: give its config the train_cfg it was trained with, or adapt without labels"
        )


def _lacks_assigner(model: Any) -> bool:
    heads = [getattr(model, name, None) for name in ("bbox_head", "rpn_head")]
    return any(
        getattr(head, "train_cfg", True) is None and not hasattr(head, "assigner") for head in heads
    )


def detection_loss(
    model: Any,
    images: Tensor,
    encoded: Sequence[Tensor],
    samples: Any,
    objects: Sequence[InstanceData],
) -> Tensor:
    """Return the sum of the losses that the detector was trained with.

    Args:
        model: Of mmdet, or a :class:`FeatureDerainRTDetr`; in eval mode, and it stays so.
        images: ``(N, 3, H, W)`` in rain, as preprocessed.
        encoded: Features of ``images`` after the neck.
        samples: mmdet's data samples, else unused.
        objects: Of each image ``bboxes``, ``(n, 4)`` xyxy in px of the photo, ``labels``,
            ``is_crowd``, and ``shape``, the photo's height and width. Crowds are neither objects
            nor background in mmdet; transformers has no word for them.
    """
    if isinstance(model, BaseDetector):
        return _of_mmdet(model, images, encoded, samples, objects)
    labels = [_normalised(each, images.device) for each in objects]
    detector = model.rtdetr
    with without_encoder(detector.model), _one_group(detector.config):
        return detector(**inputs_of(detector.model, encoded), labels=labels).loss


@contextmanager
def _one_group(config: Any) -> Iterator[None]:
    # In eval mode RF-DETR and LW-DETR have one group of queries, which transformers' loss splits.
    groups = getattr(config, "group_detr", None)
    if groups is None:
        yield
        return
    config.group_detr = 1
    try:
        yield
    finally:
        config.group_detr = groups


def _of_mmdet(
    model: Any,
    images: Tensor,
    encoded: Sequence[Tensor],
    samples: Sequence[Any],
    objects: Sequence[InstanceData],
) -> Tensor:
    for sample, found in zip(samples, objects, strict=True):
        scale = torch.tensor(sample.metainfo.get("scale_factor", (1.0, 1.0)) * 2)
        boxes = InstanceData(bboxes=(found.bboxes * scale).float(), labels=found.labels)
        sample.gt_instances = boxes[~found.is_crowd].to(images.device)
        sample.ignored_instances = boxes[found.is_crowd].to(images.device)
    with _loss_of(model, encoded):
        return model.parse_losses(model.loss(images, samples))[0]


@contextmanager
def _loss_of(model: nn.Module, encoded: Sequence[Tensor]) -> Iterator[None]:
    # Parts stay in eval mode; DINO's own flag asks whether it makes denoising queries.
    vars(model)["extract_feat"] = lambda _: tuple(encoded)
    model.training = True
    try:
        yield
    finally:
        model.training = False
        del vars(model)["extract_feat"]


def _normalised(objects: InstanceData, device: torch.device) -> dict[str, Tensor]:
    """Return labels as transformers takes them: boxes cxcywh, 0-1."""
    height, width = objects.shape
    objects = objects[~objects.is_crowd]
    boxes = objects.bboxes / torch.tensor([width, height] * 2)
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return dict(
        class_labels=objects.labels.to(device), boxes=torch.cat([centre, size], 1).to(device)
    )

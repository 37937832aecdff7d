"""Detectors, whole or in parts, that learn to answer in rain as on the clean image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.adapting.detection_loss import detection_loss
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.losses import LossWeights, adaptation_losses
from derain_plugin.adapting.training import Adaptation
from derain_plugin.models.restorers import SupervisedRestorer


class Student(nn.Module):
    """The loss of ``derain-adapt`` for anything in a detector of mmdet that trains.

    It has the same terms as :class:`derain_plugin.adapting.training.Adaptation`, whose backbone is
    frozen; here gradients pass through the backbone, too.

    Args:
        detector: As it answers in rain.
        teacher: As it was; sees the clean image, without a de-rain neck.
        weights: Of the parts of the loss.
    """

    def __init__(
        self, detector: FrozenDetector, teacher: FrozenDetector, weights: LossWeights
    ) -> None:
        super().__init__()
        self._both = detector, teacher  # in a tuple they are no submodules
        self._weights = weights

    def forward(self, rainy: Any, clean: Any, severity: Sequence[int]) -> dict[str, Tensor]:
        """Return the losses of collated samples."""
        detector, _ = self._both
        target, context = self._teach(clean)
        images, samples = detector.preprocess(rainy)
        with detector.valid_area(samples):
            encoded = _encode(detector, images)
        found = encoded, detector.outputs(encoded, context)
        return adaptation_losses(found, target, self._weights)

    @torch.no_grad()
    def _teach(self, clean: Any) -> tuple[Any, Any]:
        _, teacher = self._both
        images, samples = teacher.preprocess(clean)
        with teacher.plain():
            encoded = teacher.encode(teacher.extract(_channels_last(images)))
            context = teacher.context(encoded, samples)
            return (encoded, teacher.outputs(encoded, context)), context


class LabelledStudent(nn.Module):
    """The detector's own loss in rain.

    Args:
        detector: As it answers in rain.
    """

    def __init__(self, detector: FrozenDetector) -> None:
        super().__init__()
        self._detector = (detector,)

    def forward(
        self, rainy: Any, clean: Any, severity: Sequence[int], objects: Sequence[InstanceData]
    ) -> dict[str, Tensor]:
        """Return the loss of collated samples with labels."""
        (detector,) = self._detector
        images, samples = detector.preprocess(rainy)
        encoded = _encode(detector, images)
        return dict(
            loss_detection=detection_loss(detector.model, images, encoded, samples, objects)
        )


class FogStudent(nn.Module):
    """The neck's usual loss, and consistency between two views of photos of real fog.

    The teacher of the fog is the detector with a slow-moving mean of the neck (Tarvainen and
    Valpola, Mean teachers, NeurIPS 2017) on the photo as it is; the student sees it with other
    light, contrast, blur and noise. Both are flipped alike.

    Args:
        detector: Frozen, with its neck.
        weights: Of the parts of the loss.
        fog: Gives collated samples of photos of fog: ``rainy`` is the student's view.
        fog_weight: Of the second loss.
        momentum: Share of the slow neck that stays in each step.
    """

    def __init__(
        self,
        detector: FrozenDetector,
        weights: LossWeights,
        fog: Any,
        *,
        fog_weight: float,
        momentum: float = 0.99,
    ) -> None:
        super().__init__()
        self._adaptation = Adaptation(detector, weights)
        self._slow = torch.optim.swa_utils.AveragedModel(
            detector.derain, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(momentum)
        )
        self._slow.requires_grad_(False)
        self._detector, self._weights = (detector,), weights
        self._fog, self._fog_weight = fog, fog_weight

    def forward(self, **batch: Any) -> dict[str, Tensor]:
        """Return the losses of collated samples, and those of as many photos of fog."""
        (detector,) = self._detector
        self._slow.update_parameters(detector.derain)
        losses = self._adaptation(**batch)
        fog = self._consistency(**self._fog())
        return losses | {f"{name}_fog": self._fog_weight * loss for name, loss in fog.items()}

    def _consistency(self, rainy: Any, clean: Any, severity: Sequence[int]) -> dict[str, Tensor]:
        (detector,) = self._detector
        images, samples = detector.preprocess(clean)
        with torch.no_grad(), detector.valid_area(samples):
            feats = self._slow(detector.extract(images))
            with detector.plain():
                encoded = detector.encode(feats)
        context = detector.context(encoded, samples)
        with torch.no_grad():
            target = encoded, detector.outputs(encoded, context)
        views, _ = detector.preprocess(rainy)
        with detector.valid_area(samples):
            encoded = detector.encode(detector.extract(views))
        return adaptation_losses(
            (encoded, detector.outputs(encoded, context)), target, self._weights
        )


class RestorerStudent(nn.Module):
    """The loss of a network that restores the image, on crops without padding.

    Args:
        detector: Whose samples it takes, and which is not asked.
        config: Of the restorer.
        side: Of the crops, px.
    """

    def __init__(self, detector: FrozenDetector, config: dict[str, Any], side: int = 128) -> None:
        super().__init__()
        self.supervised = SupervisedRestorer(config)
        self._detector, self._side = (detector,), side

    def restore(self, images: Tensor) -> Tensor:
        """Return images ``(N, 3, H, W)``, 0-255, without rain."""
        return self.supervised.restorer.restore(images).clamp(0, 255)

    def forward(self, rainy: Any, clean: Any, severity: Sequence[int]) -> dict[str, Tensor]:
        """Return the losses of collated samples."""
        (detector,) = self._detector
        (images, samples), (target, _) = map(detector.preprocess, (rainy, clean))
        window = self._draw_window([sample.img_shape for sample in samples])
        return self.supervised(images[window], target[window], mode="loss")

    def _draw_window(self, shapes: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
        """Return where to cut a batch of images of these heights and widths."""
        spare = [max(min(sides) - self._side, 0) for sides in zip(*shapes, strict=True)]
        starts = [int(torch.randint(most + 1, ())) for most in spare]
        return (..., *(slice(start, start + self._side) for start in starts))


def _encode(detector: FrozenDetector, images: Tensor) -> tuple[Tensor, ...]:
    """Return the features after the neck, with gradients for all of the detector."""
    return detector.encode(detector.model.backbone(_channels_last(images)))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)  # faster on a CPU

"""A frozen detector with a de-rain neck that can be put in and taken out, of mmdet or transformers.

Both kinds of library get the same few methods, so that training, measuring and adapter files do
not ask which it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor, nn
from transformers import PreTrainedModel

from derain_plugin.adapting.base_weights import base_weights
from derain_plugin.adapting.dense_outputs import DenseOutput, kind_of
from derain_plugin.hf.configuration_feature_derain_rtdetr import (
    DETECTORS,
    FeatureDerainRTDetrConfig,
)
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.models.detectors.noted_area import leave_padding_out, valid_area_of
from derain_plugin.models.necks import DerainNeck
from derain_plugin.models.necks.feature_derain import BaseFeatureDerain

DERAIN = dict(type="MultiScaleFeatureDerain")
PROBE = 128  # px, side of the image that tells a backbone's channels

Prepare = Callable[[np.ndarray], Any]


class FrozenDetector(ABC):
    """A detector that stays as it is, and the de-rain neck in front of its own.

    Args:
        model: The detector; in eval mode and without gradients from now on.
        prepare: Makes of an image, ``(H, W, 3)`` uint8, BGR, a sample as the detector takes it.

    Attributes:
        model: The detector with its de-rain neck.
        derain: The neck; the only part with gradients.
        prepare: As given.
    """

    model: Any
    derain: BaseFeatureDerain

    def __init__(self, model: nn.Module, prepare: Prepare) -> None:
        self.model, self.prepare = model, prepare
        model.eval().requires_grad_(False)
        self.kind = kind_of(model)

    @property
    def device(self) -> torch.device:
        """Where the detector is."""
        return next(self.model.parameters()).device

    def weights(self) -> dict[str, Tensor]:
        """Return the detector's weights and buffers, without the de-rain neck's."""
        return base_weights(self.model)

    def context(self, encoded: Sequence[Tensor], samples: Any) -> Any:
        """Return what teacher and student share, from the teacher's features after its neck."""
        return self.kind.context(self.model, encoded, samples)

    def outputs(self, encoded: Sequence[Tensor], context: Any) -> list[DenseOutput]:
        """Return the raw outputs of the heads; none where a detector's heads are not known."""
        return self.kind.outputs(self.model, encoded, context)

    @abstractmethod
    def preprocess(self, samples: Any) -> tuple[Tensor, Any]:
        """Return the images ``(N, 3, H, W)`` of collated samples, and what the heads need."""

    def valid_area(self, samples: Any) -> AbstractContextManager[None]:
        """Return what hides the padding of a batch from the de-rain neck; here there is none."""
        return nullcontext()

    @abstractmethod
    def extract(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the backbone's features."""

    @abstractmethod
    def encode(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features after the detector's own neck."""

    @abstractmethod
    def take_out(self) -> None:
        """Leave the detector without the de-rain neck: what it was."""

    @abstractmethod
    def put_in(self) -> None:
        """Put the de-rain neck in; nothing happens to one that is there."""

    @abstractmethod
    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found in ``(H, W, 3)`` uint8, BGR: bboxes in its pixels, on the CPU."""

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Take the de-rain neck out for a while: the teacher has the same weights, not a copy."""
        self.take_out()
        try:
            yield
        finally:
            self.put_in()


class FrozenMMDetDetector(FrozenDetector):
    """A detector of mmdet. Arguments are those of :class:`FrozenDetector`, and ``derain``."""

    def __init__(self, model: nn.Module, prepare: Prepare, derain: Mapping[str, Any]) -> None:
        self.model = model
        check_detector(model)
        super().__init__(model, prepare)
        neck = self.model.neck
        if isinstance(neck, DerainNeck):
            self._own, self._derained = neck.neck, neck
        else:
            channels = _channels(self.extract(torch.zeros(1, 3, PROBE, PROBE, device=self.device)))
            config = dict(derain, in_channels=channels)
            self._own, self._derained = neck, DerainNeck(config, neck).to(self.device).eval()
        self.derain = self._derained.derain.requires_grad_(True)
        leave_padding_out(model)
        self.put_in()

    def preprocess(self, samples: Any) -> tuple[Tensor, Any]:
        """Return the images ``(N, 3, H, W)``, and mmdet's data samples."""
        data = self.model.data_preprocessor(samples, False)
        return data["inputs"], data["data_samples"]

    def valid_area(self, samples: Any) -> AbstractContextManager[None]:
        """Return what hides the padding of a batch from the de-rain neck, as in tests."""
        return valid_area_of(samples)

    @torch.no_grad()
    def extract(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the backbone's features."""
        return tuple(self.model.backbone(images))

    def encode(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features after the detector's own neck."""
        return tuple(self.model.neck(tuple(feats)))

    def take_out(self) -> None:
        """Leave the detector with its own neck alone."""
        self.model.neck = self._own

    def put_in(self) -> None:
        """Put the de-rain neck in front of the detector's own."""
        self.model.neck = self._derained

    @torch.no_grad()
    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found."""
        (sample,) = self.model.test_step(pseudo_collate([self.prepare(image)]))
        found = sample.pred_instances.cpu()
        return InstanceData(bboxes=found.bboxes, scores=found.scores, labels=found.labels)


class FrozenTransformersDetector(FrozenDetector):
    """An RT-DETR, RT-DETRv2 or D-FINE of transformers.

    Args:
        model: The detector, with a de-rain module or without.
        processor: Its image processor.
        derain: ``type`` and options of the de-rain neck, without ``in_channels``.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, derain: Mapping[str, Any]) -> None:
        check_detector(model)
        if not isinstance(model, FeatureDerainRTDetr):
            model = with_derain_module(model, derain)
        super().__init__(model, self._sample)
        self._processor = processor
        self.derain = model.derain_module.requires_grad_(True)

    def _sample(self, image: np.ndarray) -> dict[str, Tensor]:
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return dict(
            pixel_values=self._processor(images=rgb, return_tensors="pt")["pixel_values"][0]
        )

    def preprocess(self, samples: Any) -> tuple[Tensor, Any]:
        """Return the images ``(N, 3, H, W)``; the heads need nothing else."""
        return torch.stack(list(samples["pixel_values"])).to(self.device), None

    @torch.no_grad()
    def extract(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the backbone's features."""
        return tuple(self.model.rtdetr.model.backbone.model(images).feature_maps)

    def encode(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features after the hybrid encoder."""
        detector = self.model.rtdetr.model
        if self.model.derain_module is not None:
            feats = self.model.derain_module(feats)
        projected = [
            proj(feat) for proj, feat in zip(detector.encoder_input_proj, feats, strict=True)
        ]
        return tuple(detector.encoder(projected).last_hidden_state)

    def take_out(self) -> None:
        """Leave the detector without a de-rain module."""
        self.model.derain_module = None

    def put_in(self) -> None:
        """Put the de-rain module in."""
        self.model.derain_module = self.derain

    @torch.no_grad()
    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found."""
        found = self.model(self._sample(image)["pixel_values"][None].to(self.device))
        (best,) = self._processor.post_process_object_detection(
            found, threshold=0.0, target_sizes=[image.shape[:2]]
        )
        return InstanceData(
            bboxes=best["boxes"].cpu(), scores=best["scores"].cpu(), labels=best["labels"].cpu()
        )


def freeze(
    model: nn.Module,
    prepare: Any,
    *,
    derain: Mapping[str, Any] = DERAIN,
    seed: int = 0,
) -> FrozenDetector:
    """Freeze a detector and put a de-rain neck into it, a fresh one unless it has one.

    Args:
        model: A detector of mmdet, or an RT-DETR, RT-DETRv2 or D-FINE of transformers.
        prepare: For mmdet what makes of an image, ``(H, W, 3)`` uint8, BGR, a packed sample: the
            test pipeline; for transformers the image processor.
        derain: ``type`` and options of a de-rain neck; its channels are the backbone's.
        seed: Of the weights of a fresh neck.

    Raises:
        TypeError: A detector of another library.
        ValueError: A detector without a neck.
    """
    check_detector(model)
    is_mmdet = isinstance(model, BaseDetector)
    detector: Any = FrozenMMDetDetector if is_mmdet else FrozenTransformersDetector
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return detector(model, prepare, derain)


def check_detector(model: nn.Module) -> None:
    """Refuse what has no place for a de-rain neck.

    Raises:
        TypeError: A model of another library, or another model of transformers.
        ValueError: A detector of mmdet without a neck.
    """
    if isinstance(model, BaseDetector):
        if not model.with_neck:
            raise ValueError(
                f"{type(model).__name__} has no neck, and a de-rain neck goes in front of one: "
                "take a detector with a neck, such as FPN"
            )
        return
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in (*DETECTORS, FeatureDerainRTDetrConfig.model_type):
        raise TypeError(
            f"{kind} cannot be adapted: it must be a detector of mmdet, or of transformers one of "
            f"{', '.join(DETECTORS)}"
        )


def with_derain_module(model: Any, derain: Mapping[str, Any]) -> FeatureDerainRTDetr:
    """Wrap an RT-DETR of transformers; its weights are shared, not copied."""
    channels = list(model.model.backbone.intermediate_channel_sizes)
    config = FeatureDerainRTDetrConfig(
        rtdetr_config=model.config, derain={**derain, "in_channels": channels}
    )
    derained = FeatureDerainRTDetr(config, model)
    return derained.to(model.device, model.dtype).eval()


def _channels(feats: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(feat.shape[1] for feat in feats)

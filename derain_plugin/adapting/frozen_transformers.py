"""A frozen detector of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor
from transformers import PreTrainedModel

from derain_plugin.adapting.base_frozen_detector import FrozenDetector
from derain_plugin.hf.configuration_feature_derain_rtdetr import FeatureDerainRTDetrConfig
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.models.rtdetr.parts import backbone_of, channels_given, encoded, maps_of


class FrozenTransformersDetector(FrozenDetector):
    """An RT-DETR of transformers, or one of its kin.

    Args:
        model: The detector, with a de-rain module or without.
        processor: Its image processor.
        derain: ``type`` and options of the de-rain neck, without ``in_channels``.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, derain: Mapping[str, Any]) -> None:
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

    def _extract(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.extract(images))

    def encode(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features after the hybrid encoder or the projector."""
        if self.model.derain_module is not None:
            feats = self.model.derain_module(feats)
        return tuple(maps_of(encoded(self.model.rtdetr.model, feats)))

    def _take_neck_out(self) -> None:
        self.model.derain_module = None

    def _put_neck_in(self) -> None:
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


def with_derain_module(model: Any, derain: Mapping[str, Any]) -> FeatureDerainRTDetr:
    """Wrap an RT-DETR of transformers; its weights are shared, not copied."""
    channels = list(channels_given(backbone_of(model.model)))
    config = FeatureDerainRTDetrConfig(
        rtdetr_config=model.config, derain={**derain, "in_channels": channels}
    )
    derained = FeatureDerainRTDetr(config, model)
    return derained.to(model.device, model.dtype).eval()

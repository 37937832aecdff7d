"""A frozen detector of mmdet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from mmcv.cnn import Conv2d, ConvModule
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.adapting.base_frozen_detector import FrozenDetector, Prepare
from derain_plugin.models.detectors.noted_area import leave_padding_out, valid_area_of
from derain_plugin.models.necks import DerainNeck

PROBE = 128  # px, side of the image that tells a backbone's channels


class FrozenMMDetDetector(FrozenDetector):
    """A detector of mmdet. Arguments are those of :class:`FrozenDetector`, and ``derain``."""

    def __init__(self, model: nn.Module, prepare: Prepare, derain: Mapping[str, Any]) -> None:
        super().__init__(model, prepare)
        neck = self.model.neck if self.model.with_neck else None
        if isinstance(neck, DerainNeck):
            self._own, self._derained = own_neck(neck), neck
        else:
            probe = torch.zeros(1, 3, PROBE, PROBE, device=self.device)
            channels = tuple(feat.shape[1] for feat in self.extract(probe))
            config = dict(derain, in_channels=channels)
            self._own, self._derained = neck, DerainNeck(config, neck).to(self.device).eval()
        self.derain = self._derained.derain.requires_grad_(True)
        leave_padding_out(model)

    def preprocess(self, samples: Any) -> tuple[Tensor, Any]:
        """Return the images ``(N, 3, H, W)``, and mmdet's data samples."""
        data = self.model.data_preprocessor(samples, False)
        return data["inputs"], data["data_samples"]

    def valid_area(self, samples: Any) -> AbstractContextManager[None]:
        """Return what hides the padding of a batch from the de-rain blocks, as in tests."""
        return valid_area_of(samples)

    @contextmanager
    def norms_in_convs(self) -> Iterator[None]:
        """Have each convolution compute its frozen BatchNorm as well, for a while.

        mmcv does so with weights made on the fly, so nothing that the detector has changes, and
        outputs but by rounding. See Efficient ConvBN Blocks, https://arxiv.org/abs/2305.11624.
        """
        modules = [module for module in self.model.modules() if _is_plain_pair(module)]
        for module in modules:
            module.turn_on_efficient_conv_bn_eval()
        try:
            yield
        finally:
            for module in modules:
                module.turn_on_efficient_conv_bn_eval(False)

    def _extract(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.backbone(images))

    def encode(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features after the detector's own neck, if it has one."""
        return tuple(self.model.neck(tuple(feats)) if self.model.with_neck else feats)

    def _take_neck_out(self) -> None:
        set_neck(self.model, self._own)

    def _put_neck_in(self) -> None:
        set_neck(self.model, self._derained)

    @torch.no_grad()
    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found."""
        (sample,) = self.model.test_step(pseudo_collate([self.prepare(image)]))
        found = sample.pred_instances.cpu()
        return InstanceData(bboxes=found.bboxes, scores=found.scores, labels=found.labels)


def _is_plain_pair(module: nn.Module) -> bool:
    """Tell whether a convolution, which forms its weights no way of its own, goes before a norm.

    Nobody may look at either: an early block has a hook at the module that it comes after.
    """
    return (
        isinstance(module, ConvModule)
        and module.with_norm
        and module.efficient_conv_bn_eval_forward is None
        and type(module.conv) in (nn.Conv2d, Conv2d)
        and not any(
            part._forward_hooks or part._forward_pre_hooks for part in (module.conv, module.norm)
        )
    )


def own_neck(derained: DerainNeck) -> nn.Module | None:
    """Return the neck behind a de-rain neck, None for a detector that has none."""
    return None if isinstance(derained.neck, nn.Identity) else derained.neck


def set_neck(detector: Any, neck: nn.Module | None) -> None:
    """Give a detector of mmdet a neck, or, as mmdet builds one without, none at all."""
    if neck is not None:
        detector.neck = neck
    elif hasattr(detector, "neck"):
        del detector.neck

"""A whole detector as one function of tensors, from pixels to boxes, with fewer layers."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn
from torch.nn.functional import pad

from derain_plugin.models import RTDETR

FROZEN_NORM = "FrozenBatchNorm2d"  # of transformers: RTDetrFrozenBatchNorm2d and its kin
FROZEN_EPS = 1e-5  # written into their forward
REPVGG_BLOCK = "RepVggBlock"
BORDER_LOGIT = 24.0  # of which sigmoid is 1 in float32, whatever a layer adds to it


class DetectorGraph(nn.Module):
    """What an exported file computes: preprocessing, detector and post-processing.

    Same results as the detector's ``predict`` behind a pipeline that resizes to the input size
    without keeping the ratio; faster, since it is fused, see :func:`fused_copy`.

    Args:
        detector: An :class:`RTDETR`, with or without a de-rain neck; stays as it is.
        half: Whether backbone and neck compute in fp16. The head stays in fp32: fp16 has steps of
            a third of a pixel at 640 px, and the decoder adds up several refinements of a box.

    Shape:
        - Input: ``images`` ``(N, 3, H, W)`` uint8, resized, with the channel order that the
          config's pipeline loads (BGR in ours); ``original_sizes`` ``(N, 2)`` int64, height and
          width before the resize, px.
        - Output: ``boxes`` ``(N, K, 4)``, x1, y1, x2, y2 in px of the original, clipped to it;
          ``scores`` ``(N, K)``, 0-1, descending; ``labels`` ``(N, K)`` int64.

    Raises:
        ValueError: A detector that cannot be exported.
    """

    def __init__(self, detector: nn.Module, *, half: bool = False) -> None:
        super().__init__()
        check_exportable(detector)
        fused = fused_copy(detector)
        self.dtype = torch.float16 if half else torch.float32
        self.preprocessor = fused.data_preprocessor
        self.backbone = fused.backbone.to(self.dtype)
        self.neck = fused.neck.to(self.dtype)
        self.head = fused.bbox_head
        _bound_anchors(self.head.detr.model)
        self.eval()

    def forward(self, images: Tensor, original_sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detect; shapes as in the class docstring."""
        # The part of mmdet's that has no loop over images. TensorRT takes uint8 for a cast alone.
        batch = ImgDataPreprocessor.forward(self.preprocessor, dict(inputs=images.float()))
        normalized = batch["inputs"].to(self.dtype)
        feats = self.neck(self.backbone(normalized))
        boxes, scores, labels = self.head.select_best(*self.head([f.float() for f in feats]))
        limits = original_sizes.flip(1).repeat(1, 2).unsqueeze(1).float()
        return boxes.clamp(0, 1) * limits, scores, labels


def _bound_anchors(decoder: Any) -> None:
    """Give cells at the border a large logit, where transformers has the largest float.

    With that, whoever quantises the file gets a scale of 1e36, and every anchor becomes 0. RF-DETR
    and LW-DETR have no such anchors.
    """
    if not hasattr(decoder, "generate_anchors"):
        return
    generate = decoder.generate_anchors

    def bounded(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        anchors, is_inside = generate(*args, **kwargs)
        return anchors.clamp(max=BORDER_LOGIT), is_inside

    decoder.generate_anchors = bounded


def check_exportable(detector: nn.Module) -> None:
    """Refuse what :class:`DetectorGraph` cannot take.

    Raises:
        ValueError: Not of the RT-DETR family, or behind a pixel-level restorer.
    """
    if not isinstance(detector, RTDETR):
        raise ValueError(
            f"only detectors of the RT-DETR family are exported, got {type(detector).__name__}; "
            "for others see mmdeploy"
        )
    preprocessor: Any = detector.data_preprocessor
    if hasattr(preprocessor, "restorer"):
        raise ValueError(
            f"{type(preprocessor).__name__} restores images with "
            f"{type(preprocessor.restorer).__name__} before they are detected in, which is not "
            "exported: take a config with a de-rain neck, or with data_preprocessor="
            "dict(type='DetDataPreprocessor', ...) to export the detector behind it"
        )


@torch.no_grad()
def fused_copy(detector: nn.Module) -> Any:
    """Return a copy in evaluation mode, with BatchNorm and RepVGG branches in its convolutions.

    BatchNorm that follows a convolution becomes part of its weights, frozen or not. The two
    branches of a RepVGG block (Ding et al. 2021, https://arxiv.org/abs/2101.03697, section 3.3)
    become one 3x3 convolution.

    Args:
        detector: Any detector around transformers' RT-DETR family; stays as it is.
    """
    fused = copy.deepcopy(detector).eval()
    _replace(fused, FROZEN_NORM, _batch_norm)
    fused = fuse_conv_bn(fused)
    _replace(fused, REPVGG_BLOCK, _single_convolution)
    return fused.requires_grad_(False)


def _replace(module: nn.Module, kind: str, substitute: Any) -> None:
    """Substitute every module whose class name ends in ``kind``."""
    for name, child in module.named_children():
        if type(child).__name__.endswith(kind):
            setattr(module, name, substitute(child))
        else:
            _replace(child, kind, substitute)


def _batch_norm(frozen: Any) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(frozen.weight), FROZEN_EPS, dtype=frozen.weight.dtype).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).copy_(getattr(frozen, name))
    return norm


def _single_convolution(block: Any) -> nn.Module:
    convolution, pointwise = block.conv1.conv, block.conv2.conv
    if pointwise.kernel_size != (1, 1):  # of RF-DETR and LW-DETR, where one comes after the other
        return block
    convolution.weight += pad(pointwise.weight, [1, 1, 1, 1])
    convolution.bias += pointwise.bias
    return nn.Sequential(convolution, block.activation)

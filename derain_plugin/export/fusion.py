"""Fewer layers that compute the same, for inference alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn
from torch.nn.functional import pad

FROZEN_NORM = "FrozenBatchNorm2d"  # of transformers: RTDetrFrozenBatchNorm2d and its kin
FROZEN_EPS = 1e-5  # written into their forward
REPVGG_BLOCK = "RepVggBlock"


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
    _replace(fused, FROZEN_NORM, _thawed)
    fused = fuse_conv_bn(fused)
    _replace(fused, REPVGG_BLOCK, _merged)
    return fused.requires_grad_(False)


def _replace(module: nn.Module, kind: str, substitute: Any) -> None:
    """Put substitutes in the places of all modules whose class name ends in ``kind``."""
    for name, child in module.named_children():
        if type(child).__name__.endswith(kind):
            setattr(module, name, substitute(child))
        else:
            _replace(child, kind, substitute)


def _thawed(frozen: Any) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(frozen.weight), FROZEN_EPS, dtype=frozen.weight.dtype).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).copy_(getattr(frozen, name))
    return norm


def _merged(block: Any) -> nn.Sequential:
    convolution, pointwise = block.conv1.conv, block.conv2.conv
    convolution.weight += pad(pointwise.weight, [1, 1, 1, 1])
    convolution.bias += pointwise.bias
    return nn.Sequential(convolution, block.activation)

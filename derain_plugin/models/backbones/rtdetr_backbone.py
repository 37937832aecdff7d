"""RT-DETR's ResNet-vd backbone as an mmdet backbone."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from transformers.models.rt_detr.modeling_rt_detr import RTDetrConvEncoder

from derain_plugin.models.layers.rtdetr_init import init_like_upstream
from derain_plugin.models.rtdetr_config import rtdetr_config


@MODELS.register_module()
class RTDETRBackbone(BaseModule):
    """transformers' RT-DETR ResNet, giving the maps of strides 8, 16 and 32.

    Its state-dict names are those of ``RTDetrForObjectDetection`` under ``model.backbone.``.
    Without pretrained weights it starts as upstream's PyTorch code does.

    Args:
        arch: ``r18``, ``r34``, ``r50`` or ``r101``.
        frozen_stages: Stages that never train, as in mmdet's ResNet: -1 none, 0 the stem,
            ``k`` the stem and stages 1 to ``k``. Upstream freezes the stem of R50 and R101.
        init_cfg: mmengine initialisation, for example ``Pretrained``.
        **overrides: Fields of ``transformers.RTDetrConfig``; see :func:`rtdetr_config`.

    Attributes:
        out_channels: Channels of each output level, (128, 256, 512) for R18.

    Shape:
        - Input: ``(N, 3, H, W)``, RGB, 0-1.
        - Output: tuple of ``(N, C_i, H / s_i, W / s_i)`` for ``s_i`` in 8, 16, 32.

    Raises:
        ValueError: Unknown ``arch``, field or number of frozen stages.
    """

    def __init__(
        self,
        arch: str = "r18",
        *,
        frozen_stages: int = -1,
        init_cfg: dict | list | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.model = RTDetrConvEncoder(rtdetr_config(arch, **overrides)).model
        init_like_upstream(self.model)
        self.out_channels = tuple(self.model.channels)
        num_stages = len(self.model.encoder.stages)
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f"frozen_stages must be in -1..{num_stages}, got {frozen_stages}")
        self.frozen_stages = frozen_stages
        for part in self._frozen_parts():
            part.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Extract the feature maps; shapes as in the class docstring."""
        return tuple(self.model(images).feature_maps)

    def train(self, mode: bool = True) -> RTDETRBackbone:
        """Set the mode; BatchNorm of frozen stages stays in eval."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        return self

    def _frozen_parts(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return [self.model.embedder, *self.model.encoder.stages[: self.frozen_stages]]

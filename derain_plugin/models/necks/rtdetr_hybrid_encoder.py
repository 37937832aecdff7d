"""RT-DETR's hybrid encoder, with the projections in front of it, as an mmdet neck."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from derain_plugin.models.rtdetr.config import rtdetr_config
from derain_plugin.models.rtdetr.family import family_of
from derain_plugin.models.rtdetr.init import init_like_upstream


@MODELS.register_module()
class RTDETRHybridEncoder(BaseModule):
    """Input projections, AIFI on the coarsest level and CCFF (Zhao et al. 2023, section 4.2).

    D-FINE fuses with blocks of its own (Peng et al. 2024). The state-dict names are those of
    ``RTDetrForObjectDetection`` (and its kin) under ``model.``. Without pretrained weights it
    starts as upstream's PyTorch code does.

    Args:
        arch: ``r18``, ``rtdetrv2_r18``, ``dfine_s``, ...; see :func:`rtdetr_config`.
        init_cfg: mmengine initialisation, for example ``Pretrained``.
        **overrides: Fields of transformers' config; see :func:`rtdetr_config`.

    Attributes:
        in_channels: Channels expected from the backbone, (128, 256, 512) for R18.
        out_channels: Channels of each output level, 256 (384 for R101 and D-FINE's X).

    Shape:
        - Input: tuple of ``(N, in_channels[i], H_i, W_i)``, each level half the one before.
        - Output: tuple of ``(N, out_channels[i], H_i, W_i)``.

    Raises:
        ValueError: Unknown ``arch`` or field; features of other channels or sizes.
    """

    def __init__(
        self, arch: str = "r18", *, init_cfg: dict | list | None = None, **overrides: Any
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        config = rtdetr_config(arch, **overrides)
        self.in_channels = tuple(config.encoder_in_channels)
        self.encoder_input_proj = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, config.encoder_hidden_dim, kernel_size=1, bias=False),
                nn.BatchNorm2d(config.encoder_hidden_dim),
            )
            for channels in self.in_channels
        )
        self.encoder = family_of(config).encoder(config)
        self.out_channels = tuple(self.encoder.out_channels)
        init_like_upstream(self.encoder)

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Fuse the levels; shapes as in the class docstring."""
        channels = tuple(feat.shape[1] for feat in feats)
        if channels != self.in_channels:
            raise ValueError(
                f"RTDETRHybridEncoder expects in_channels {self.in_channels}, the backbone gives "
                f"{channels}; use the same `arch` in backbone, neck and bbox_head"
            )
        sizes = [tuple(feat.shape[-2:]) for feat in feats]
        if any(fine != (2 * h, 2 * w) for fine, (h, w) in pairwise(sizes)):
            raise ValueError(
                f"each level must be twice as large as the next, got {sizes}; make image height "
                "and width multiples of 32 (Resize, or pad_size_divisor=32 in data_preprocessor)"
            )
        projected = [proj(feat) for proj, feat in zip(self.encoder_input_proj, feats, strict=True)]
        return tuple(self.encoder(projected).last_hidden_state)

"""RT-DETR's hybrid encoder, with the projections in front of it, as an mmdet neck."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from derain_plugin.models.rtdetr.config import rtdetr_config
from derain_plugin.models.rtdetr.family import decoder_channels, encoder_channels, family_of
from derain_plugin.models.rtdetr.init import init_like_upstream
from derain_plugin.models.rtdetr.parts import maps_of


@MODELS.register_module()
class RTDETRHybridEncoder(BaseModule):
    """Input projections, AIFI on the coarsest level and CCFF (Zhao et al. 2023, section 4.2).

    D-FINE and DEIMv2 fuse with blocks of their own (Peng et al. 2024, Huang et al. 2025); DEIMv2's
    lite encoder, for Pico and smaller, makes two maps of one. RF-DETR and LW-DETR have a projector
    here, which makes one map, or LW-DETR's two larger sizes two, of those of a ViT. The
    state-dict names are those of ``RTDetrForObjectDetection`` (and its kin) under ``model.``.
    Without pretrained weights it starts as upstream's PyTorch code does.

    Args:
        arch: ``r18``, ``rtdetrv2_r18``, ``dfine_s``, ...; see :func:`rtdetr_config`.
        init_cfg: mmengine initialisation, for example ``Pretrained``.
        **overrides: Fields of transformers' config; see :func:`rtdetr_config`.

    Attributes:
        in_channels: Channels expected from the backbone, (128, 256, 512) for R18.
        out_channels: Channels of each output level, 256 (384 for R101 and D-FINE's X, 64 to 256
            for DEIMv2).

    Shape:
        - Input: tuple of ``(N, in_channels[i], H_i, W_i)``, each level half the one before; of a
          ViT all of one size.
        - Output: tuple of ``(N, out_channels[i], H_i, W_i)``.

    Raises:
        ValueError: Unknown ``arch`` or field; features of other channels or sizes.
    """

    def __init__(
        self, arch: str = "r18", *, init_cfg: dict | list | None = None, **overrides: Any
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        config = rtdetr_config(arch, **overrides)
        self.in_channels = encoder_channels(config)
        family = family_of(config)
        self._has_pyramid = family.has_pyramid
        self.encoder_input_proj = nn.ModuleList(
            family.projection(config, channels) for channels in self.in_channels
        )
        self.encoder = family.encoder(config)
        self.out_channels = _channels_of(self.encoder, config)
        init_like_upstream(self.encoder)

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Fuse the levels; shapes as in the class docstring."""
        channels = tuple(feat.shape[1] for feat in feats)
        if channels != self.in_channels:
            raise ValueError(
                f"RTDETRHybridEncoder expects in_channels {self.in_channels}, the backbone gives "
                f"{channels}; use the same `arch` in backbone, neck and bbox_head"
            )
        if self._has_pyramid:
            _check_pyramid(feats)
        projected = [proj(feat) for proj, feat in zip(self.encoder_input_proj, feats, strict=True)]
        return tuple(maps_of(self.encoder(projected)))


def _channels_of(encoder: Any, config: Any) -> tuple[int, ...]:
    if not family_of(config).has_pyramid:
        return decoder_channels(config)
    # The lite encoder makes a second map of its only one.
    return tuple(getattr(encoder, "out_channels", (config.encoder_hidden_dim,) * 2))


def _check_pyramid(feats: tuple[Tensor, ...]) -> None:
    sizes = [(feat.shape[-2], feat.shape[-1]) for feat in feats]
    # Of a single level the lite encoder makes one of half the size.
    halved = [] if len(sizes) > 1 else [(sizes[0][0] // 2, sizes[0][1] // 2)]
    if any(fine != (2 * h, 2 * w) for fine, (h, w) in pairwise(sizes + halved)):
        raise ValueError(
            f"each level must be twice as large as the next, got {sizes}; make image height "
            "and width multiples of 32 (Resize, or pad_size_divisor=32 in data_preprocessor)"
        )

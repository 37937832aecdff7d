"""RT-DETR's ResNet-vd, D-FINE's HGNetV2, DEIMv2's DINOv3 and other ViTs as an mmdet backbone."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from derain_plugin.models.loading import keep_weights
from derain_plugin.models.rtdetr.config import rtdetr_config
from derain_plugin.models.rtdetr.family import family_of
from derain_plugin.models.rtdetr.init import init_like_upstream
from derain_plugin.models.rtdetr.parts import (
    backbone_in,
    channels_given,
    features_of,
    layers_of,
    stages_of,
    unused_parameters,
)


@MODELS.register_module()
class RTDETRBackbone(BaseModule):
    """transformers' backbone of an RT-DETR, giving the maps of strides 8, 16 and 32.

    RT-DETR and RT-DETRv2 have a ResNet-vd, D-FINE and DEIMv2 to N have an HGNetV2, of which N
    gives two maps and the smaller ones of DEIMv2 give one. DEIMv2 from S on has a DINOv3 ViT; its
    maps are what the ViT and the convolutions beside it give together. RF-DETR has a DINOv2 with
    windows, LW-DETR a ViT of its own; both give three or four maps of one size, stride 16 (14 for
    ``rfdetr_base``). All ViTs want images normalised by ImageNet's mean and deviation. The
    state-dict names are those of ``RTDetrForObjectDetection`` (and its kin) under
    ``model.backbone.``. Without pretrained weights it starts as upstream's PyTorch code does.

    Early de-rain blocks may clean its features on the way: a vanilla detector becomes one with
    ``model = dict(backbone=dict(early_derain=dict(type='EarlyFeatureDerain')))``. Their weights
    are named ``derain.*`` and start as the identity; a checkpoint without them loads as it is.

    Args:
        arch: ``r18``, ``rtdetrv2_r18``, ``dfine_s``, ...; see :func:`rtdetr_config`.
        frozen_stages: Stages that never train, as in mmdet's ResNet: -1 none, 0 the stem,
            ``k`` the stem and stages 1 to ``k``, which are the layers of a ViT. Upstream freezes
            the stem of R50, R101 and D-FINE's L and X. Early de-rain blocks train all the same.
        early_derain: Config of de-rain blocks inside the backbone, see
            :class:`EarlyFeatureDerain`; ``stage_channels`` is filled in.
        init_cfg: mmengine initialisation, for example ``Pretrained``.
        **overrides: Fields of transformers' config; see :func:`rtdetr_config`.

    Attributes:
        out_channels: Channels of each output level, (128, 256, 512) for R18.
        derain: The early de-rain blocks, or None.
        last_rain_gate: After a forward in training mode the logits ``(N,)`` of the blocks' gate,
            for its supervision; None without a gate and in evaluation mode.
        last_rain_masks: Likewise the blocks' masks, ``(N, 1, H_i, W_i)``, 0-1; else empty.

    Shape:
        - Input: ``(N, 3, H, W)``, RGB, 0-1; for a ViT normalised, sides in multiples of 32, or of
          the windows; for RF-DETR ``H = W``.
        - Output: tuple of ``(N, C_i, H / s_i, W / s_i)`` for ``s_i`` in 8, 16, 32.

    Raises:
        ValueError: Unknown ``arch``, field or number of frozen stages; places of early de-rain
            blocks that the backbone has not; images of other sizes for a ViT.
    """

    def __init__(
        self,
        arch: str = "r18",
        *,
        frozen_stages: int = -1,
        early_derain: dict | None = None,
        init_cfg: dict | list | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        config = rtdetr_config(arch, **overrides)
        self.model = backbone_in(family_of(config).backbone(config))
        init_like_upstream(self.model)
        self.out_channels = channels_given(self.model)
        num_stages = len(layers_of(self.model)) - 1
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f"frozen_stages must be in -1..{num_stages}, got {frozen_stages}")
        self.frozen_stages = frozen_stages
        for part in self._frozen_parts():
            part.requires_grad_(False)
        for parameter in unused_parameters(self.model):  # for which DDP would wait
            parameter.requires_grad_(False)
        self.derain: Any = None if early_derain is None else self._build_derain(early_derain)
        self.last_rain_gate: Tensor | None = None
        self.last_rain_masks: tuple[Tensor, ...] = ()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Extract the feature maps; shapes as in the class docstring."""
        if self.derain is None:
            return tuple(features_of(self.model, images))
        feats, masks, logits = self._derained(images)
        if self.training:
            self.last_rain_gate, self.last_rain_masks = logits, masks
        return feats

    def rain_masks(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the early blocks' masks, ``(N, 1, H_i, W_i)``, 0-1, from the stem on."""
        return self._derained(images)[1] if self.derain is not None else ()

    def train(self, mode: bool = True) -> RTDETRBackbone:
        """Set the mode; BatchNorm of frozen stages stays in eval."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        self.last_rain_gate, self.last_rain_masks = None, ()
        return self

    def _derained(
        self, images: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor | None]:
        """Do as transformers' backbone does, with the blocks in between."""
        feat, feats, masks = self.model.embedder(images), [], []
        logits = self.derain.rain_logits(feat)
        stages = [nn.Identity(), *self.model.encoder.stages]
        for name, stage in zip(self.model.stage_names, stages, strict=True):
            feat, mask = self.derain(stage(feat), name, logits)
            if mask is not None:
                masks.append(mask)
            if name in self.model.out_features:
                feats.append(feat)
        return tuple(feats), tuple(masks), logits

    def _build_derain(self, early_derain: dict) -> nn.Module:
        channels = dict(zip(stages_of(self.model), self.model.num_features, strict=True))
        return MODELS.build(dict(early_derain, stage_channels=channels))

    def _frozen_parts(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return layers_of(self.model)[: self.frozen_stages + 1]

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Children take their shares from what this module is given, see DerainNeck.
        own = f"{prefix}derain."
        if self.derain is not None and not any(key.startswith(own) for key in state_dict):
            keep_weights(self.derain, state_dict, own, kind="early de-rain")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the last forward's graph behind: torch cannot copy it."""
        return {**super().__getstate__(), "last_rain_gate": None, "last_rain_masks": ()}

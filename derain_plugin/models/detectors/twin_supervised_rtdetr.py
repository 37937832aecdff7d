"""RT-DETR whose de-raining is also taught by the clean twin of each training image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from derain_plugin.engine.safety import install
from derain_plugin.models.detectors.rtdetr import RTDETR
from derain_plugin.models.loading import load_whole
from derain_plugin.models.necks import DerainNeck

FULL_RAIN = 0.3
"""Mean opacity of streaks in a cell of the feature map that counts as mask 1.

Streaks cover little: at the worst severity 5, 256 to 640 px and stride 8, the mean over cells is
0.15 to 0.16, and 5 % of the cells have more than 0.25 to 0.33.
"""
VARIANCE_FLOOR = 0.1  # of the level's mean: channels that hardly ever fire would outweigh others


@MODELS.register_module()
class TwinSupervisedRTDETR(RTDETR):
    """An :class:`RTDETR` with up to three more losses in training, and no other difference.

    State dict, predictions and their cost are those of ``RTDETR`` with the same parts: its
    checkpoints load here, and those of this load there. Training needs ``RainTwin`` in both
    pipelines and ``RainTwinDataPreprocessor``.

    - ``loss_consistency``: the features that reach the detector's own neck, cleaned by whatever
      cleans them, are pulled towards those of the frozen vanilla backbone on the clean twin, as
      in FogGuard (https://arxiv.org/abs/2403.08939). Clean images are their own twins: what
      de-raining does to them counts, too. In units of the teacher's variance in the batch, per
      channel: 1 is as far as the channel's mean is; mean over channels, then levels.
    - ``loss_mask``: binary cross-entropy of the masks, those of early blocks and of the de-rain
      neck, against the streaks' mean opacity in each cell, see ``FULL_RAIN``; mean over cells, then
      masks.
    - ``loss_gate``: binary cross-entropy of the backbone's ``last_rain_gate``, ``(N,)`` logits,
      against the samples' ``rainy`` of ``RainMixDataset``.

    Args:
        backbone: Config of the backbone. The teacher is built from it without ``early_derain``.
        neck: Config of the neck.
        bbox_head: Config of the head.
        teacher: Checkpoint of the vanilla detector. ``init_weights``, which every training calls
            first, reads it unless ``consistency_weight`` is 0; tests and exports need none.
        consistency_weight: Factor on ``loss_consistency``; 0 leaves it out.
        mask_weight: Factor on ``loss_mask``; 0 leaves it out.
        gate_weight: Factor on ``loss_gate``; 0 leaves it out.
        **kwargs: ``train_cfg``, ``test_cfg``, ``data_preprocessor``, ``init_cfg`` of mmdet.

    Raises:
        FileNotFoundError: In training, there is no such ``teacher``.
        ValueError: A weight is negative or not finite, or there is nothing for a loss to act on;
            in training, ``teacher`` is missing or does not fit the backbone, or batches are
            without what the losses need.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        bbox_head: dict,
        *,
        teacher: str | None = None,
        consistency_weight: float = 0.0,
        mask_weight: float = 0.0,
        gate_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone=backbone, neck=neck, bbox_head=bbox_head, **kwargs)
        self.consistency_weight = _checked("consistency_weight", consistency_weight)
        self.mask_weight = _checked("mask_weight", mask_weight)
        self.gate_weight = _checked("gate_weight", gate_weight)
        early = getattr(self.backbone, "derain", None)
        if mask_weight and early is None and not isinstance(self.neck, DerainNeck):
            raise ValueError(
                f"mask_weight={mask_weight} needs rain masks, but the neck is "
                f"{type(self.neck).__name__}: set mask_weight=0, put a DerainNeck before it or "
                "give the backbone an early_derain"
            )
        if gate_weight and not _has_gate(self.backbone):
            raise ValueError(
                f"gate_weight={gate_weight} needs a backbone with a rain gate: set gate_weight=0 "
                "or give the backbone an early_derain with gate=True"
            )
        self._teacher_source = backbone, teacher
        # In a tuple it is no submodule: not in the state dict, the optimizer or train().
        self._teacher: tuple[nn.Module, ...] = ()

    def init_weights(self) -> None:
        """Initialise as ``RTDETR`` does, and read the teacher."""
        super().init_weights()
        if self.consistency_weight:
            self._teacher = (_load_teacher(*self._teacher_source),)

    def forward(
        self,
        inputs: Tensor,
        data_samples: SampleList | None = None,
        mode: str = "tensor",
        clean: Tensor | None = None,
        streaks: Tensor | None = None,
    ) -> Any:
        """Do what ``RTDETR`` does; ``clean`` and ``streaks`` are for ``mode="loss"``.

        Args:
            inputs: ``(N, 3, H, W)``, RGB, 0-1.
            data_samples: Of the images.
            mode: ``loss``, ``predict`` or ``tensor``.
            clean: The images without rain, as ``inputs``.
            streaks: ``(N, 1, H, W)``, opacity of the streaks, 0-1.
        """
        if mode == "loss":
            return self.loss(inputs, data_samples, clean=clean, streaks=streaks)
        return super().forward(inputs, data_samples, mode)

    def loss(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        *,
        clean: Tensor | None = None,
        streaks: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the head's losses, and those by the clean twin, in float32."""
        feats = self.backbone(batch_inputs)
        masks = getattr(self.backbone, "last_rain_masks", ())
        if isinstance(self.neck, DerainNeck):
            feats, others = self.neck.derain.forward_with_masks(feats)
            encoded, masks = self.neck.neck(feats), (*masks, *others)
        else:
            encoded = self.neck(feats)
        losses = self.bbox_head.loss(encoded, batch_data_samples)
        targets = self._teach(clean)
        # Binary cross-entropy of probabilities is refused under CUDA's autocast.
        with torch.autocast(batch_inputs.device.type, enabled=False):
            if self.consistency_weight:
                loss = feature_consistency_loss(feats, targets)
                losses["loss_consistency"] = self.consistency_weight * loss
            if self.mask_weight:
                losses["loss_mask"] = self.mask_weight * rain_mask_loss(masks, _needed(streaks))
            if self.gate_weight:
                losses["loss_gate"] = self.gate_weight * self._gate_loss(batch_data_samples)
        return losses

    def _teach(self, clean: Tensor | None) -> tuple[Tensor, ...]:
        """Return the vanilla backbone's features on the clean twins; nothing if none are needed."""
        if not self.consistency_weight:
            return ()
        if not self._teacher:
            raise ValueError("the teacher has not been read: call init_weights before training")
        clean = _needed(clean)
        return self._teacher[0].to(clean.device)(clean)

    def _gate_loss(self, samples: SampleList) -> Tensor:
        gate = self.backbone.last_rain_gate
        if gate is None or any("rainy" not in sample for sample in samples):
            raise ValueError(
                f"gate_weight={self.gate_weight} needs a backbone that gates, and samples that "
                "say whether they are `rainy`, as those of RainMixDataset do"
            )
        rainy = [float(sample.rainy) for sample in samples]
        return F.binary_cross_entropy_with_logits(gate.float(), gate.new_tensor(rainy).float())


def feature_consistency_loss(feats: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Return the squared distance of ``feats`` in units of the variance of ``targets``.

    Args:
        feats: ``(N, C_i, H_i, W_i)`` per level.
        targets: The same shapes; each channel's variance is taken over the batch and its pixels.

    Returns:
        Mean over channels, then levels, in float32.
    """
    distances = []
    for feat, target in zip(feats, targets, strict=True):
        variance = target.float().var((0, 2, 3), correction=0)
        error = (feat.float() - target.float()).square().mean((0, 2, 3))
        floor = VARIANCE_FLOOR * variance.mean() + torch.finfo(torch.float32).eps
        distances.append((error / (variance + floor)).mean())
    return torch.stack(distances).mean()


def rain_mask_loss(masks: Sequence[Tensor], streaks: Tensor) -> Tensor:
    """Return the binary cross-entropy of masks against the streaks in their cells.

    Args:
        masks: ``(N, 1, H_i, W_i)`` per level, 0-1.
        streaks: ``(N, 1, H, W)``, opacity, 0-1.

    Returns:
        Mean over cells, then levels, in float32.
    """
    losses = []
    for mask in masks:
        height, width = mask.shape[-2:]
        opacity = F.adaptive_avg_pool2d(streaks.float(), (height, width))
        target = (opacity / FULL_RAIN).clamp(max=1)
        losses.append(F.binary_cross_entropy(mask.float(), target))
    return torch.stack(losses).mean()


def _checked(name: str, weight: float) -> float:
    if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise ValueError(f"{name} must be a number of at least 0, got {weight!r}")
    return weight


def _has_gate(backbone: nn.Module) -> bool:
    return getattr(getattr(backbone, "derain", None), "gate", None) is not None


def _needed(twin: Tensor | None) -> Tensor:
    if twin is None:
        raise ValueError(
            "the losses by the clean twin need RainTwin in the training pipelines of both sides "
            "(severity=0 on the clean one) and data_preprocessor.type='RainTwinDataPreprocessor'"
        )
    return twin


def _load_teacher(backbone: Mapping, teacher: str | None) -> nn.Module:
    if not teacher:
        raise ValueError(
            "consistency_weight needs `teacher`, a checkpoint of the vanilla detector, such as "
            f"the one in load_from; got {teacher!r}"
        )
    cfg = {key: value for key, value in backbone.items() if key not in ("early_derain", "init_cfg")}
    # What is drawn here is overwritten; the run goes on drawing as without a teacher.
    with torch.random.fork_rng(devices=[]):
        module = MODELS.build(cfg)
    with install():
        checkpoint = CheckpointLoader.load_checkpoint(teacher, map_location="cpu")
    prefix = "backbone."
    weights = {
        key.removeprefix(prefix): tensor
        for key, tensor in checkpoint.get("state_dict", checkpoint).items()
        if key.startswith(prefix)
    }
    load_whole(
        module,
        weights,
        f"teacher {teacher} does not fit the backbone",
        "Name a checkpoint of the vanilla detector, with the same `arch` and without early_derain",
    )
    return module.eval().requires_grad_(False)

"""RT-DETR's architectures as transformers configs, named as in the paper."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from transformers import RTDetrConfig, RTDetrResNetConfig

_BASIC_BLOCKS: dict[str, Any] = dict(
    encoder_in_channels=[128, 256, 512], hidden_expansion=0.5, freeze_backbone_batch_norms=False
)

# Differences from transformers' defaults, which are R50. Source:
# https://github.com/lyuwenyu/RT-DETR/tree/94f5e16708329d2f2716426868ec89aa774af016/rtdetr_pytorch/configs/rtdetr
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "r18": dict(
        _BASIC_BLOCKS,
        backbone_config=dict(
            hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic"
        ),
        decoder_layers=3,
    ),
    "r34": dict(
        _BASIC_BLOCKS,
        backbone_config=dict(
            hidden_sizes=[64, 128, 256, 512], depths=[3, 4, 6, 3], layer_type="basic"
        ),
        decoder_layers=4,
    ),
    "r50": dict(backbone_config={}),
    "r101": dict(
        backbone_config=dict(depths=[3, 4, 23, 3]),
        encoder_hidden_dim=384,
        encoder_ffn_dim=2048,
        decoder_in_channels=[384, 384, 384],
    ),
}


def rtdetr_config(arch: str, **overrides: Any) -> RTDetrConfig:
    """Build the transformers config of one RT-DETR architecture.

    Args:
        arch: One of ``ARCHITECTURES``: ``r18``, ``r34``, ``r50``, ``r101``.
        **overrides: Fields of ``transformers.RTDetrConfig``, plus ``num_labels``. A
            ``backbone_config`` dict of ``RTDetrResNetConfig`` fields is merged into the
            architecture's, so that it may name a single field.

    Raises:
        ValueError: ``arch`` or a field does not exist; the message names the nearest ones.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"unknown RT-DETR arch {arch!r}; choose one of {sorted(ARCHITECTURES)}")
    _refuse_unknown(overrides, RTDetrConfig, also={"num_labels"})
    backbone = dict(overrides.pop("backbone_config", None) or {})
    _refuse_unknown(backbone, RTDetrResNetConfig, also={"out_indices"})
    settings = {**ARCHITECTURES[arch], **overrides}
    backbone = {"out_indices": [2, 3, 4], **ARCHITECTURES[arch]["backbone_config"], **backbone}
    return RTDetrConfig(**{**settings, "backbone_config": RTDetrResNetConfig(**backbone)})


def _refuse_unknown(overrides: dict[str, Any], config_class: type, *, also: set[str]) -> None:
    known = {field.name for field in fields(config_class)} | also
    for name in overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known) or sorted(known)
            raise ValueError(
                f"{config_class.__name__} has no field {name!r}; did you mean {', '.join(near)}?"
            )

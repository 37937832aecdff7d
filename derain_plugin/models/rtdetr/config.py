"""Architectures of the RT-DETR family as transformers configs, named as in the papers."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from transformers import HGNetV2Config

from derain_plugin.models.rtdetr.deimv2_sizes import DEIMV2_SIZES
from derain_plugin.models.rtdetr.dfine_sizes import DFINE_SIZES
from derain_plugin.models.rtdetr.family import FAMILIES
from derain_plugin.models.rtdetr.rfdetr_sizes import LWDETR_SIZES, RFDETR_SIZES

_BASIC_BLOCKS: dict[str, Any] = dict(
    encoder_in_channels=[128, 256, 512], hidden_expansion=0.5, freeze_backbone_batch_norms=False
)

# Differences from transformers' defaults, which are R50. Source, for RT-DETRv2 as well:
# https://github.com/lyuwenyu/RT-DETR/tree/94f5e16708329d2f2716426868ec89aa774af016/rtdetr_pytorch/configs/rtdetr
_RESNETS: dict[str, dict[str, Any]] = {
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

# transformers' model_type, and fields of its config.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: ("rt_detr", settings) for name, settings in _RESNETS.items()},
    **{f"rtdetrv2_{name}": ("rt_detr_v2", settings) for name, settings in _RESNETS.items()},
    **{f"dfine_{name}": ("d_fine", settings) for name, settings in DFINE_SIZES.items()},
    **{f"deimv2_{name}": ("deimv2", settings) for name, settings in DEIMV2_SIZES.items()},
    **{f"rfdetr_{name}": ("rf_detr", settings) for name, settings in RFDETR_SIZES.items()},
    **{f"lwdetr_{name}": ("lw_detr", settings) for name, settings in LWDETR_SIZES.items()},
}


def rtdetr_config(arch: str, **overrides: Any) -> Any:
    """Build the transformers config of one architecture of the RT-DETR family.

    Args:
        arch: One of ``ARCHITECTURES``: ``r18``, ``r34``, ``r50``, ``r101`` (RT-DETR),
            ``rtdetrv2_r18`` to ``rtdetrv2_r101``, ``dfine_n``, ``dfine_s``, ``dfine_m``,
            ``dfine_l``, ``dfine_x``; of DEIMv2 ``deimv2_atto``, ``deimv2_femto``,
            ``deimv2_pico``, ``deimv2_n``, ``deimv2_s``, ``deimv2_m``, ``deimv2_l``,
            ``deimv2_x``; of RF-DETR ``rfdetr_nano``, ``rfdetr_small``, ``rfdetr_base``,
            ``rfdetr_medium``, ``rfdetr_large``; of LW-DETR ``lwdetr_tiny``, ``lwdetr_small``,
            ``lwdetr_medium``, ``lwdetr_large``, ``lwdetr_xlarge``.
        **overrides: Fields of transformers' ``RTDetrConfig``, ``RTDetrV2Config``,
            ``DFineConfig``, ``Deimv2Config``, ``RfDetrConfig`` or ``LwDetrConfig``, plus
            ``num_labels``. A ``backbone_config`` dict of fields of ``RTDetrResNetConfig``
            (D-FINE, DEIMv2 to N: ``HGNetV2Config``; DEIMv2 from S: ``DINOv3ViTConfig``; RF-DETR:
            ``RfDetrDinov2Config``; LW-DETR: ``LwDetrViTConfig``) is merged into the
            architecture's, so that it may name a single field.

    Raises:
        ValueError: ``arch`` or a field does not exist; the message names the nearest ones.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"unknown RT-DETR arch {arch!r}; choose one of {sorted(ARCHITECTURES)}")
    model_type, settings = ARCHITECTURES[arch]
    family = FAMILIES[model_type]
    _refuse_unknown(overrides, family.config, also={"num_labels"})
    backbone = dict(overrides.pop("backbone_config", None) or {})
    kind = settings["backbone_config"].get("model_type")
    backbone_class = next(
        each for each in family.backbone_configs if kind in (None, each.model_type)
    )
    _refuse_unknown(backbone, backbone_class, also={"out_indices"})
    backbone = {"out_indices": [2, 3, 4], **settings["backbone_config"], **backbone}
    backbone.pop("model_type", None)
    if backbone_class is HGNetV2Config:
        backbone = _with_channels(backbone)
    backbone_config = backbone_class(**backbone)
    return family.config(**{**settings, **overrides, "backbone_config": backbone_config})


def _with_channels(hgnetv2: dict[str, Any]) -> dict[str, Any]:
    """Say what HGNetV2 gives out; transformers builds from some fields and reports others."""
    built = HGNetV2Config(**hgnetv2)
    reported = dict(
        embedding_size=built.stem_channels[-1], hidden_sizes=list(built.stage_out_channels)
    )
    return {**reported, **hgnetv2}


def _refuse_unknown(overrides: dict[str, Any], config_class: type, *, also: set[str]) -> None:
    known = {field.name for field in fields(config_class)} | also
    for name in overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known) or sorted(known)
            raise ValueError(
                f"{config_class.__name__} has no field {name!r}; did you mean {', '.join(near)}?"
            )

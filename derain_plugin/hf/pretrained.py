"""Detectors of transformers from the hub or a folder, whole; with a de-rain module where asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForObjectDetection, PreTrainedModel

from derain_plugin.hf.configuration_feature_derain_rtdetr import (
    DETECTORS,
    FeatureDerainRTDetrConfig,
)
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr, refuse_missing
from derain_plugin.models.rtdetr.parts import NARROW, backbone_of, channels_given, has_vit

HUB_OPTIONS = (
    "cache_dir",
    "force_download",
    "local_files_only",
    "proxies",
    "revision",
    "subfolder",
    "token",
)
# Of DEIMv2's smallest sizes. transformers writes it under the name of one decoder layer and looks
# for that of the first.
SHARED_BOX_HEAD = {r"decoder\.bbox_embed\.\d+\.": "decoder.bbox_embed.0."}
DERAIN_TYPES = {"multiscale": "MultiScaleFeatureDerain", "lightweight": "LightweightFeatureDerain"}


def create_feature_derain(
    model_name: str = "PekingU/rtdetr_r18vd",
    derain_type: str | None = "multiscale",
    *,
    num_residual_blocks: int | None = None,
    freeze_backbone: bool = False,
    device: str | torch.device | None = None,
    **kwargs: Any,
) -> FeatureDerainRTDetr:
    """Put a fresh de-rain module into a pretrained detector; its detections do not change yet.

    Args:
        model_name: A hub id, or a folder that ``save_pretrained`` wrote, of an RT-DETR, RT-DETRv2,
            D-FINE, DEIMv2, RF-DETR or LW-DETR.
        derain_type: ``multiscale``, ``lightweight``, or None for the detector as it is.
        num_residual_blocks: Residual blocks per level of ``multiscale``; 0 keeps mask,
            suppression and a linear correction. ``lightweight`` has none. Default 2; behind a
            ViT (RF-DETR, LW-DETR, DEIMv2 with a DINOv3) 1, and half as wide.
        freeze_backbone: Whether parameters and BatchNorm statistics of the backbone stay as they
            are in training.
        device: Of the model; default the CPU.
        **kwargs: Options of ``RTDetrForObjectDetection.from_pretrained``, with which they do the
            same: ``num_labels``, ``id2label`` and ``label2id`` with
            ``ignore_mismatched_sizes=True`` for classes of one's own, ``dtype``, ``revision``.

    Returns:
        The model in eval mode, like those of ``from_pretrained``; ``.train()`` to train it.

    Raises:
        FileNotFoundError: ``model_name`` is neither a folder nor a hub id that could be reached.
        ValueError: It holds another model, or ``derain_type`` or ``num_residual_blocks`` cannot
            be used.
        RuntimeError: Weights have another shape than ``kwargs`` ask for.

    Example:
        >>> model = create_feature_derain("PekingU/rtdetr_r18vd", "lightweight")
        >>> model(torch.rand(1, 3, 640, 640)).logits.shape
        torch.Size([1, 300, 80])
    """
    options = _derain_options(derain_type, num_residual_blocks)
    rtdetr: Any = load_pretrained(model_name, **kwargs)
    if derain_type == "multiscale":
        defaults = NARROW if has_vit(rtdetr) else dict(num_residual_blocks=2)
        options = {**defaults, **(options or {})}
    channels = list(channels_given(backbone_of(rtdetr.model)))
    config = FeatureDerainRTDetrConfig(
        rtdetr_config=rtdetr.config,
        derain=options and {**options, "in_channels": channels},
        freeze_backbone=freeze_backbone,
    )
    return FeatureDerainRTDetr(config, rtdetr).to(device, rtdetr.dtype).eval()


create_feature_derain_rtdetr = create_feature_derain
"""By the name that it had before it took other detectors."""


def load_pretrained(
    source: str, model_types: Sequence[str] = DETECTORS, **kwargs: Any
) -> PreTrainedModel:
    """Load a model, in eval mode and on the CPU.

    Args:
        source: A hub id, or a folder that ``save_pretrained`` wrote; ``~`` is expanded.
        model_types: What it may be.
        **kwargs: Options of transformers' ``from_pretrained``.

    Raises:
        FileNotFoundError: Neither a folder nor a hub id that could be reached.
        ValueError: Another model, or weights that do not fill it.
    """
    folder = Path(source).expanduser()
    source = str(folder) if folder.is_dir() else source
    at_hub = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
    with _explained(source, OSError, ValueError):
        config = AutoConfig.from_pretrained(source, **at_hub)
    if config.model_type not in model_types:
        needed = " or ".join(map(repr, model_types))
        raise ValueError(
            f"{source} holds a {config.model_type!r} model, but needed is {needed} "
            "(for example PekingU/rtdetr_r18vd)"
        )
    if getattr(config, "share_bbox_head", False):
        kwargs["key_mapping"] = {**SHARED_BOX_HEAD, **(kwargs.get("key_mapping") or {})}
    with _explained(source, OSError):
        model, report = AutoModelForObjectDetection.from_pretrained(
            source, output_loading_info=True, **kwargs
        )
    refuse_missing(source, report)
    return model


@contextmanager
def _explained(source: str, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise FileNotFoundError(
            f"{source} is no folder written by save_pretrained and no model id that the hub gave. "
            f"Offline? Download it where there is a network (`hf download {source} --local-dir "
            "rtdetr`) and name that folder, or fill the cache there and copy it (HF_HOME). "
            f"transformers said: {str(error).splitlines()[0]}"
        ) from error


def _derain_options(
    derain_type: str | None, num_residual_blocks: int | None
) -> dict[str, Any] | None:
    if derain_type is None:
        return None
    if derain_type not in DERAIN_TYPES:
        raise ValueError(
            f"derain_type must be {', '.join(map(repr, DERAIN_TYPES))} or None, got {derain_type!r}"
        )
    options: dict[str, Any] = {"type": DERAIN_TYPES[derain_type]}
    if num_residual_blocks is None:
        return options
    if not isinstance(num_residual_blocks, int) or num_residual_blocks < 0:
        raise ValueError(f"num_residual_blocks must be 0 or more, got {num_residual_blocks!r}")
    if derain_type == "multiscale":
        options["num_residual_blocks"] = num_residual_blocks
    return options

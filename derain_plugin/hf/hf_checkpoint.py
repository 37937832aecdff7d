"""``hf://``: transformers' weights of the RT-DETR family as a checkpoint for mmengine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from derain_plugin.engine.safety import scheme
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.hf.pretrained import load_pretrained
from derain_plugin.models.rtdetr.family import FAMILIES

PREFIX = "hf://"
MODEL_TYPES = (*FAMILIES, FeatureDerainRTDetr.config_class.model_type)

# transformers' prefix -> ours; the first that matches counts. None: dropped on purpose.
KEY_PREFIXES: dict[str, str | None] = {
    "model.backbone.": "backbone.",
    "model.encoder_input_proj.": "neck.encoder_input_proj.",
    "model.encoder.": "neck.encoder.",
    "class_embed.": None,  # RT-DETRv2 and D-FINE have the decoder's heads twice,
    "bbox_embed.": None,  # and use those in model.decoder alone
    "": "bbox_head.detr.",
}
# The same for a FeatureDerainRTDetr with a de-rain module, and a detector with a DerainNeck.
DERAINED_KEY_PREFIXES: dict[str, str | None] = {
    "derain_module.": "neck.derain.",
    "early_derain.": "backbone.derain.",
    "image_filter.": "backbone.image_filter.",
    **{
        f"rtdetr.{theirs}": ours and ours.replace("neck.", "neck.neck.")
        for theirs, ours in KEY_PREFIXES.items()
    },
}


def to_mmdet_keys(
    state_dict: Mapping[str, Tensor], prefixes: Mapping[str, str | None] = KEY_PREFIXES
) -> dict[str, Tensor]:
    """Rename weights of ``RTDetrForObjectDetection`` to those of a vanilla :class:`RTDETR`.

    The same for ``RTDetrV2ForObjectDetection`` and ``DFineForObjectDetection``, whose second
    names for the heads of the decoder are left out.

    Args:
        state_dict: Of transformers' model.
        prefixes: ``DERAINED_KEY_PREFIXES`` if both sides have a de-rain neck.
    """
    renamed = {}
    for key, tensor in state_dict.items():
        theirs = next(prefix for prefix in prefixes if key.startswith(prefix))
        ours = prefixes[theirs]
        if ours is not None:
            renamed[ours + key.removeprefix(theirs)] = tensor
    return renamed


def to_transformers_keys(
    state_dict: Mapping[str, Tensor], prefixes: Mapping[str, str | None] = KEY_PREFIXES
) -> dict[str, Tensor]:
    """Undo :func:`to_mmdet_keys`; names that it left out stay away."""
    back = {ours: theirs for theirs, ours in prefixes.items() if ours is not None}
    return to_mmdet_keys(state_dict, back)


@scheme(PREFIX)
def load_from_hf(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load ``hf://<hub id or local folder>``, as written by ``save_pretrained``.

    Args:
        filename: ``hf://PekingU/rtdetr_r18vd`` or ``hf:///path/to/folder``; an RT-DETR,
            RT-DETRv2 or D-FINE. A folder of :class:`FeatureDerainRTDetr` fits a detector with the
            same de-rain neck.
        map_location: Device of the weights; default the CPU.

    Returns:
        A checkpoint with ``state_dict`` in our names, and in ``meta`` the class names
        (``dataset_meta``) and transformers' own config (``hf_config``).

    Raises:
        FileNotFoundError: Neither a folder nor a hub id that could be reached.
        ValueError: None of the RT-DETR family, or weights that do not fill the model.
    """
    model: Any = load_pretrained(filename.removeprefix(PREFIX), MODEL_TYPES)
    # What else torch.load takes, functions and tables of devices, is about files.
    device = map_location if isinstance(map_location, str | torch.device) else "cpu"
    state_dict = _mmdet_state_dict(model.to(device))
    classes = tuple(model.config.id2label[index] for index in sorted(model.config.id2label))
    meta = dict(dataset_meta=dict(classes=classes), hf_config=model.config.to_dict())
    return dict(state_dict=state_dict, meta=meta)


def _mmdet_state_dict(model: PreTrainedModel) -> dict[str, Tensor]:
    if not isinstance(model, FeatureDerainRTDetr):
        return to_mmdet_keys(model.state_dict())
    if model.derain_module is None:
        return to_mmdet_keys(model.rtdetr.state_dict())
    return to_mmdet_keys(model.state_dict(), DERAINED_KEY_PREFIXES)

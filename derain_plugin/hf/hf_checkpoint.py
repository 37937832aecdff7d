"""``hf://``: transformers' weights of the RT-DETR family as a checkpoint for mmengine."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from derain_plugin.datasets.labels.classes import CATEGORY_IDS, COCO_NAMES
from derain_plugin.engine.safety import scheme
from derain_plugin.hf.image_processor import processor_settings, processor_statistics
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.hf.pretrained import load_pretrained
from derain_plugin.models.rtdetr.family import FAMILIES

PREFIX = "hf://"
COCO_LABELS = max(CATEGORY_IDS.values()) + 1  # of a head with one for each category id, and 0
MODEL_TYPES = (*FAMILIES, FeatureDerainRTDetr.config_class.model_type)

# transformers' prefix -> ours; the first that matches counts.
KEY_PREFIXES: dict[str, str] = {
    "model.backbone.backbone.": "backbone.model.",  # of RF-DETR and LW-DETR
    "model.backbone.projector.": "neck.encoder.",
    "model.backbone.": "backbone.",
    "model.encoder_input_proj.": "neck.encoder_input_proj.",
    "model.conv_encoder.model.": "backbone.model.",  # of DEIMv2
    "model.conv_encoder.encoder_input_proj.": "neck.encoder_input_proj.",
    "model.conv_encoder.": "backbone.model.",  # a DINOv3 and what transformers adds to it
    "model.encoder.": "neck.encoder.",
    "": "bbox_head.detr.",
}
# The same for a FeatureDerainRTDetr with a de-rain module, and a detector with a DerainNeck.
DERAINED_KEY_PREFIXES: dict[str, str] = {
    "derain_module.": "neck.derain.",
    "early_derain.": "backbone.derain.",
    "image_filter.": "backbone.image_filter.",
    **{
        f"rtdetr.{theirs}": ours.replace("neck.", "neck.neck.")
        for theirs, ours in KEY_PREFIXES.items()
    },
}
HEAD = re.compile(r"(rtdetr\.)?((class|bbox)_embed\..*)")


def is_second_name(key: str, keys: Container[str]) -> bool:
    """Whether a name of transformers is that of a head which ``keys`` have in the decoder, too.

    RT-DETRv2 and later have the decoder's heads twice, and use those in ``model.decoder`` alone.
    RF-DETR and LW-DETR have them once, outside.
    """
    found = HEAD.fullmatch(key)
    return found is not None and f"{found[1] or ''}model.decoder.{found[2]}" in keys


def to_mmdet_keys(
    state_dict: Mapping[str, Tensor], prefixes: Mapping[str, str] = KEY_PREFIXES
) -> dict[str, Tensor]:
    """Rename weights of ``RTDetrForObjectDetection`` to those of a vanilla :class:`RTDETR`.

    The same for its kin, whose second names for the heads of the decoder are left out.

    Args:
        state_dict: Of transformers' model.
        prefixes: ``DERAINED_KEY_PREFIXES`` if both sides have a de-rain neck.
    """
    return {
        _mmdet_key(key, prefixes): tensor
        for key, tensor in state_dict.items()
        if not is_second_name(key, state_dict)
    }


def to_transformers_keys(
    state_dict: Mapping[str, Tensor],
    expected: Collection[str],
    prefixes: Mapping[str, str] = KEY_PREFIXES,
) -> dict[str, Tensor]:
    """Undo :func:`to_mmdet_keys`; names that it left out stay away.

    Args:
        state_dict: Of a :class:`RTDETR`.
        expected: The names of transformers' model. What is none of them keeps its name.
        prefixes: As in :func:`to_mmdet_keys`.
    """
    first = (key for key in expected if not is_second_name(key, expected))
    theirs = {_mmdet_key(key, prefixes): key for key in first}
    return {theirs.get(key, key): tensor for key, tensor in state_dict.items()}


def _mmdet_key(key: str, prefixes: Mapping[str, str]) -> str:
    theirs = next(prefix for prefix in prefixes if key.startswith(prefix))
    return prefixes[theirs] + key.removeprefix(theirs)


@scheme(PREFIX)
def load_from_hf(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load ``hf://<hub id or local folder>``, as written by ``save_pretrained``.

    Args:
        filename: ``hf://PekingU/rtdetr_r18vd`` or ``hf:///path/to/folder``; an RT-DETR,
            RT-DETRv2, D-FINE, DEIMv2, RF-DETR or LW-DETR. A folder of
            :class:`FeatureDerainRTDetr` fits a detector with the same de-rain neck.
        map_location: Device of the weights; default the CPU.

    Returns:
        A checkpoint with ``state_dict`` in our names, and in ``meta`` the class names
        (``dataset_meta``), transformers' own config (``hf_config``) and, if the folder has a
        ``preprocessor_config.json``, mean and deviation of its pixels (``pixels``), which
        :class:`RTDETR` compares with those of its data preprocessor. RF-DETR and LW-DETR of COCO
        have a class for each of its category ids, up to 90: a :class:`RTDETRHead` of 80 classes
        takes those that have names.

    Raises:
        FileNotFoundError: Neither a folder nor a hub id that could be reached.
        ValueError: None of the RT-DETR family, or weights that do not fill the model.
    """
    source = filename.removeprefix(PREFIX)
    model: Any = load_pretrained(source, MODEL_TYPES)
    # What else torch.load takes, functions and tables of devices, is about files.
    device = map_location if isinstance(map_location, str | torch.device) else "cpu"
    state_dict: Any = OrderedDict(_mmdet_state_dict(model.to(device)))
    metadata: dict[str, Any] = {}
    state_dict._metadata = metadata  # what torch tells modules that load
    classes = tuple(model.config.id2label[index] for index in sorted(model.config.id2label))
    rows = rows_of_coco(classes, model.config.model_type)
    if rows is not None:
        classes, metadata["bbox_head"] = COCO_NAMES, dict(class_rows=rows)
    meta = dict(dataset_meta=dict(classes=classes), hf_config=model.config.to_dict())
    pixels = _pixels_of(source)
    if pixels is not None:
        meta["pixels"] = pixels
        metadata[""] = dict(pixels=pixels)
    return dict(state_dict=state_dict, meta=meta)


def rows_of_coco(classes: Sequence[str], model_type: str) -> list[int] | None:
    """Return where COCO's 80 classes are among more, in COCO's order; None if they are not.

    Args:
        classes: Names by label.
        model_type: ``rf_detr`` and ``lw_detr`` are known for labels without names that are COCO's
            category ids.
    """
    if len(classes) > len(COCO_NAMES) and set(COCO_NAMES) <= set(classes):
        return [classes.index(name) for name in COCO_NAMES]
    is_numbered = tuple(classes) == tuple(f"LABEL_{label}" for label in range(COCO_LABELS))
    is_known = is_numbered and model_type in ("rf_detr", "lw_detr")
    return list(CATEGORY_IDS.values()) if is_known else None


def _pixels_of(source: str) -> dict[str, list[float]] | None:
    try:
        return processor_statistics(processor_settings(source))
    except OSError:
        return None


def _mmdet_state_dict(model: PreTrainedModel) -> dict[str, Tensor]:
    if not isinstance(model, FeatureDerainRTDetr):
        return to_mmdet_keys(model.state_dict())
    if model.derain_module is None:
        return to_mmdet_keys(model.rtdetr.state_dict())
    return to_mmdet_keys(model.state_dict(), DERAINED_KEY_PREFIXES)

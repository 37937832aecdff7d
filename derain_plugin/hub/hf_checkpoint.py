"""``hf://``: transformers' RT-DETR weights as a checkpoint that mmengine understands everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor
from transformers import AutoConfig, RTDetrForObjectDetection

PREFIX = "hf://"

# transformers' prefix -> ours; the first that matches counts.
KEY_PREFIXES = {
    "model.backbone.": "backbone.",
    "model.encoder_input_proj.": "neck.encoder_input_proj.",
    "model.encoder.": "neck.encoder.",
    "": "bbox_head.detr.",
}


def to_mmdet_keys(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights of ``RTDetrForObjectDetection`` to those of a vanilla :class:`RTDETR`."""
    return {_to_mmdet_key(key): tensor for key, tensor in state_dict.items()}


def _to_mmdet_key(key: str) -> str:
    theirs = next(prefix for prefix in KEY_PREFIXES if key.startswith(prefix))
    return KEY_PREFIXES[theirs] + key.removeprefix(theirs)


@CheckpointLoader.register_scheme(prefixes=PREFIX, force=True)
def load_from_hf(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load ``hf://<hub id or local folder>``, as written by ``save_pretrained``.

    Args:
        filename: ``hf://PekingU/rtdetr_r18vd`` or ``hf:///path/to/folder``.
        map_location: Device of the weights; default the CPU.

    Returns:
        A checkpoint with ``state_dict`` in our names, and in ``meta`` the class names
        (``dataset_meta``) and transformers' own config (``hf_config``).

    Raises:
        FileNotFoundError: Neither a folder nor a hub id that could be reached.
        ValueError: Not an RT-DETR, or weights that do not fill the model.
    """
    source = filename.removeprefix(PREFIX)
    folder = Path(source).expanduser()
    source = str(folder) if folder.is_dir() else source
    config = _fetched(AutoConfig, source)
    if config.model_type != "rt_detr":
        raise ValueError(
            f"{filename} holds a {config.model_type!r} model, but RTDETR needs 'rt_detr' "
            "(for example hf://PekingU/rtdetr_r18vd)"
        )
    model, report = _fetched(RTDetrForObjectDetection, source, output_loading_info=True)
    if report["missing_keys"] or report["mismatched_keys"]:
        raise ValueError(
            f"the weights of {filename} do not fill the model its config.json describes: "
            f"missing {sorted(report['missing_keys'])}, "
            f"other shapes {sorted(report['mismatched_keys'])}"
        )
    # What else torch.load takes, functions and tables of devices, is about files.
    device = map_location if isinstance(map_location, str | torch.device) else "cpu"
    state_dict = to_mmdet_keys(model.to(device).state_dict())
    classes = tuple(config.id2label[index] for index in sorted(config.id2label))
    meta = dict(dataset_meta=dict(classes=classes), hf_config=config.to_dict())
    return dict(state_dict=state_dict, meta=meta)


def _fetched(kind: Any, source: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"{PREFIX}{source} is no folder written by save_pretrained and no model id that the "
            "hub gave. Offline? Download it where there is a network "
            f"(`hf download {source} --local-dir rtdetr`) and use hf://rtdetr, or fill the cache "
            f"there and copy it (HF_HOME). transformers said: {str(error).splitlines()[0]}"
        ) from error

"""A detector with the neck of an adapter inside, as files that need no adapter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict

from derain_plugin.adapting.adapter_file import derain_config
from derain_plugin.adapting.early_blocks import early_of
from derain_plugin.adapting.front_filter import filter_of
from derain_plugin.apis.detector import Detector
from derain_plugin.files import partial_of
from derain_plugin.models import RTDETRBackbone


def write_merged_mmdet(detector: Detector, adapter: Path, out: Path) -> tuple[Path, Path]:
    """Write ``config.py`` and ``checkpoint.pth`` of a detector that has an adapter.

    Args:
        detector: With the adapter loaded.
        adapter: Its folder.
        out: A new folder; it appears whole or not at all.

    Returns:
        Both files.
    """
    cfg = detector.cfg.copy()
    own = cfg.model.get("neck")
    cfg.model.neck = dict(type="DerainNeck", derain=derain_config(adapter), neck=own)
    if (early := early_of(detector.model)) is not None:
        cfg.model.backbone = _with_early(cfg.model.backbone, early.settings)
    if (front := filter_of(detector.model)) is not None:
        cfg.model.backbone = dict(
            type="FilteredBackbone", backbone=cfg.model.backbone, image_filter=front.settings
        )
    cfg.leave_padding_out = True  # as load_adapter does
    imports = cfg.get("custom_imports") or dict(imports=[])
    names = [imports["imports"]] if isinstance(imports["imports"], str) else imports["imports"]
    cfg.custom_imports = dict(
        imports=list(dict.fromkeys([*names, "derain_plugin"])), allow_failed_imports=False
    )
    partial = partial_of(out)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    cfg.dump(partial / "config.py")
    meta = dict(dataset_meta=dict(classes=tuple(detector.classes)))
    torch.save(dict(state_dict=detector.model.state_dict(), meta=meta), partial / "checkpoint.pth")
    partial.rename(out)
    return out / "config.py", out / "checkpoint.pth"


def _with_early(backbone: ConfigDict, settings: dict[str, Any]) -> dict[str, Any]:
    # stage_channels are found anew: mmengine would sort them, and their order counts.
    early = {name: value for name, value in settings.items() if name != "stage_channels"}
    if backbone.type == RTDETRBackbone.__name__:
        return dict(backbone, early_derain=early)
    places = early.pop("places")
    return dict(type="DerainBackbone", backbone=backbone, early_derain=early, places=places)


def write_merged_transformers(model: Any, processor: Any, out: Path) -> None:
    """Write a :class:`FeatureDerainRTDetr` and its image processor as ``save_pretrained`` does.

    Args:
        model: With the adapter loaded.
        processor: Its image processor.
        out: A new folder; it appears whole or not at all.
    """
    partial = partial_of(out)
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    partial.rename(out)

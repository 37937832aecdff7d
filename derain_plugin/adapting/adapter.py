"""Put adapters into detectors, and take them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from derain_plugin.adapting.adapter_file import (
    Parts,
    derain_config,
    read_adapter_config,
    read_parts,
)
from derain_plugin.adapting.base_weights import backbone_hash
from derain_plugin.adapting.early_blocks import put_early_in, take_early_out
from derain_plugin.adapting.front_filter import put_filter_in, take_filter_out
from derain_plugin.adapting.frozen_detector import check_detector
from derain_plugin.adapting.frozen_mmdet import own_neck, set_neck
from derain_plugin.adapting.frozen_transformers import with_derain_module
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.models.detectors.noted_area import leave_padding_out
from derain_plugin.models.necks import DerainNeck
from derain_plugin.models.necks.feature_derain import BaseFeatureDerain


def load_adapter(model: nn.Module, path: str | Path) -> Any:
    """Put an adapter into a detector that is loaded already.

    Args:
        model: A detector of mmdet, or an RT-DETR of transformers or one of its kin, up to LW-DETR;
            with the weights that the adapter was trained for, in their own precision.
        path: Folder of the adapter.

    Returns:
        The detector with the blocks: of mmdet ``model`` itself, of transformers a
        :class:`FeatureDerainRTDetr` around it. :func:`remove_adapter` gives ``model`` back.

    Raises:
        FileNotFoundError: There is no adapter.
        TypeError: A detector of another library.
        ValueError: It is for a detector of other weights, is damaged, or the detector has a
            de-rain neck already.

    Example:
        >>> model = init_detector("yolox_nano.py", "yolox_nano.pth")
        >>> model = load_adapter(model, "adapted")
    """
    folder = Path(path).expanduser()
    config = read_adapter_config(folder)
    detector: Any = model.module if is_model_wrapper(model) else model
    check_detector(detector)
    if derain_of(detector) is not None:
        raise ValueError(
            f"the detector has a {type(derain_of(detector)).__name__} already: load the adapter "
            f"{folder} into the detector as it was before, see remove_adapter"
        )
    _refuse_other_weights(detector, folder, config)
    parts = read_parts(folder, config)
    if isinstance(detector, BaseDetector):
        _put_in_mmdet(detector, parts)
        return model
    options = {name: value for name, value in config["derain"].items() if name != "in_channels"}
    derained: Any = with_derain_module(detector, options)
    derained.derain_module.load_state_dict(parts.neck.state_dict())
    _put_others_in(derained, parts)
    return derained.train(detector.training)


def _put_in_mmdet(detector: Any, parts: Parts) -> None:
    place, own = next(detector.parameters()), detector.neck if detector.with_neck else None
    _put_others_in(detector, parts)
    set_neck(detector, DerainNeck(parts.neck.to(place.device, place.dtype), own))
    detector.neck.train(detector.training)
    leave_padding_out(detector)


def _put_others_in(detector: nn.Module, parts: Parts) -> None:
    if parts.early is not None:
        put_early_in(detector, parts.early.train(detector.training))
    if parts.image_filter is not None:
        put_filter_in(detector, parts.image_filter.train(detector.training))


def _refuse_other_weights(model: nn.Module, folder: Path, config: Mapping[str, Any]) -> None:
    found, expected = backbone_hash(model), config.get("backbone_sha256")
    if found != expected:
        raise ValueError(
            f"the adapter {folder} was trained for {config.get('base_model_name_or_path')}, whose "
            f"backbone has the hash {str(expected)[:12]}, and this {type(model).__name__} has "
            f"other weights ({found[:12]}): load that checkpoint, or adapt this detector with "
            "derain-adapt"
        )


def use_adapter(cfg: Config, path: str | Path) -> AdapterHook:
    """Give the model of a config the neck of an adapter, still without its weights.

    Returns:
        A hook for the runner, which loads the weights and puts early blocks and a filter in.

    Raises:
        FileNotFoundError: There is no adapter.
        ValueError: It is damaged, or the config has a de-rain neck already.
    """
    folder = Path(path).expanduser()
    derain, neck = derain_config(folder), cfg.model.get("neck")
    if neck is not None and neck.get("type") == "DerainNeck":
        raise ValueError(
            f"{cfg.filename} has a DerainNeck already: take the config of the detector that was "
            "adapted"
        )
    cfg.model.neck = ConfigDict(type="DerainNeck", derain=derain, neck=neck)
    return AdapterHook(folder)


class AdapterHook(Hook):
    """Give the detector of a test an adapter's weights; see :func:`use_adapter`.

    Args:
        folder: Of the adapter.
    """

    priority = "VERY_HIGH"  # before EMAHook copies the detector, and swaps the copy in for the test

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def before_run(self, runner: Runner) -> None:
        """Load; the detector's own checkpoint, which comes next, has no such weights."""
        detector: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        parts = read_parts(self.folder, read_adapter_config(self.folder))
        detector.neck.derain.load_state_dict(parts.neck.state_dict())
        _put_others_in(detector, parts)
        leave_padding_out(detector)

    def before_test(self, runner: Runner) -> None:
        """Refuse a detector of other weights."""
        detector: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        _refuse_other_weights(detector, self.folder, read_adapter_config(self.folder))


def remove_adapter(model: nn.Module) -> Any:
    """Return the detector without an adapter's blocks, bitwise what it was before.

    Raises:
        ValueError: It has none.
    """
    if derain_of(model) is None:
        raise ValueError(f"{type(model).__name__} has no de-rain neck that could be removed")
    if isinstance(model, FeatureDerainRTDetr):
        model.set_early_derain(None)
        return model.rtdetr
    detector: Any = model.module if is_model_wrapper(model) else model
    set_neck(detector, own_neck(detector.neck))
    take_early_out(detector)
    take_filter_out(detector)
    return model


def derain_of(model: nn.Module) -> BaseFeatureDerain | None:
    """Return a detector's de-rain neck, or None."""
    if isinstance(model, FeatureDerainRTDetr):
        return model.derain_module
    detector: Any = model.module if is_model_wrapper(model) else model
    neck = getattr(detector, "neck", None)
    return neck.derain if isinstance(neck, DerainNeck) else None

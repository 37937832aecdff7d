"""Adapter files: the de-rain blocks alone, and which detector they are for.

``adapter.safetensors`` holds the weights and ``adapter_config.json`` the rest, as PEFT has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from derain_plugin.adapting.base_weights import backbone_hash
from derain_plugin.adapting.early_blocks import AdapterBlocks, put_early_in, take_early_out
from derain_plugin.adapting.frozen_detector import FrozenDetector, check_detector
from derain_plugin.adapting.frozen_mmdet import own_neck, set_neck
from derain_plugin.adapting.frozen_transformers import with_derain_module
from derain_plugin.files import atomic_write
from derain_plugin.hf.modeling_feature_derain_rtdetr import DERAIN_NECKS, FeatureDerainRTDetr
from derain_plugin.models.backbones import EarlyFeatureDerain
from derain_plugin.models.detectors.noted_area import leave_padding_out
from derain_plugin.models.loading import load_whole
from derain_plugin.models.necks import DerainNeck
from derain_plugin.models.necks.feature_derain import BaseFeatureDerain
from derain_plugin.rain import RENDERER_VERSION
from derain_plugin.version import __version__

WEIGHTS, CONFIG = "adapter.safetensors", "adapter_config.json"
TYPE = "DERAIN_NECK"
EARLY_PREFIX = "early."  # of the weights of early blocks; those of the neck have none


def save_adapter(
    detector: FrozenDetector,
    folder: Path,
    *,
    base: str,
    derain: Mapping[str, Any],
    base_sha256: str | None = None,
    rain: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write the de-rain neck of a detector, and its early blocks, as an adapter.

    Args:
        detector: With the blocks that were trained.
        folder: Made if it is not there; an adapter in it is replaced.
        base: Where the detector is from: hub id, folder or checkpoint.
        derain: ``type`` and options of the neck, without ``in_channels``.
        base_sha256: Of the checkpoint file.
        rain: Name and version of the rain that it was trained with.
        training: A summary of what was done, for people.

    Raises:
        OSError: It cannot be written.
    """
    early = detector.early.settings if detector.early is not None else None
    after = f", and after {', '.join(early['places'])} of its backbone" if early else ""
    config = dict(
        adapter_type=TYPE,
        base_model_name_or_path=base,
        base_sha256=base_sha256,
        backbone_sha256=backbone_hash(detector.model),
        placement=f"before the detector's neck{after}",
        derain={**derain, "in_channels": list(detector.derain.in_channels)},
        **(dict(early=early) if early else {}),
        rain=dict(rain or {}),
        rain_version=RENDERER_VERSION,
        plugin_version=__version__,
        training=dict(training or {}),
    )
    weights = dict(detector.derain.state_dict())
    if detector.early is not None:
        detector.early.state_dict(destination=weights, prefix=EARLY_PREFIX)
    weights = {k: v.detach().cpu().contiguous() for k, v in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / WEIGHTS, save(weights))
    atomic_write(folder / CONFIG, json.dumps(config, indent=1))


def load_adapter(model: nn.Module, path: str | Path) -> Any:
    """Put an adapter into a detector that is loaded already.

    Args:
        model: A detector of mmdet, or an RT-DETR, RT-DETRv2 or D-FINE of transformers; with the
            weights that the adapter was trained for, in their own precision.
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
    neck, early = _read_blocks(folder, config)
    if isinstance(detector, BaseDetector):
        _put_in_mmdet(detector, neck, early)
        return model
    options = {name: value for name, value in config["derain"].items() if name != "in_channels"}
    derained = with_derain_module(detector, options)
    derain_of(derained).load_state_dict(neck.state_dict())  # type: ignore[union-attr]
    if early is not None:
        put_early_in(derained, early)
    return derained.train(detector.training)


def _put_in_mmdet(detector: Any, neck: nn.Module, early: AdapterBlocks | None) -> None:
    place, own = next(detector.parameters()), detector.neck if detector.with_neck else None
    if early is not None:
        put_early_in(detector, early.train(detector.training))
    set_neck(detector, DerainNeck(neck.to(place.device, place.dtype), own))
    detector.neck.train(detector.training)
    leave_padding_out(detector)


def use_adapter(cfg: Config, path: str | Path) -> AdapterHook:
    """Give the model of a config the neck of an adapter, still without its weights.

    Returns:
        A hook for the runner, which loads the weights and puts early blocks in.

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
        neck, early = _read_blocks(self.folder, read_adapter_config(self.folder))
        detector.neck.derain.load_state_dict(neck.state_dict())
        if early is not None:
            put_early_in(detector, early)
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
    return model


def derain_of(model: nn.Module) -> BaseFeatureDerain | None:
    """Return a detector's de-rain neck, or None."""
    if isinstance(model, FeatureDerainRTDetr):
        return model.derain_module
    detector: Any = model.module if is_model_wrapper(model) else model
    neck = getattr(detector, "neck", None)
    return neck.derain if isinstance(neck, DerainNeck) else None


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """Return what ``adapter_config.json`` says.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is none of ours.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {CONFIG}: name the folder that derain-adapt wrote (--out)"
        )
    try:
        config = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} is not json: {error}") from error
    if not isinstance(config, dict) or config.get("adapter_type") != TYPE:
        kind = config.get("adapter_type", "none") if isinstance(config, dict) else "none"
        raise ValueError(f"{file} describes no de-rain adapter (adapter_type is {kind})")
    options = config.get("derain")
    if not isinstance(options, dict) or options.get("type") not in DERAIN_NECKS:
        raise ValueError(
            f"{file}: derain.type must be one of {', '.join(sorted(DERAIN_NECKS))}, got {options!r}"
        )
    early = config.get("early")
    if early is not None and not _describes_early(early):
        raise ValueError(
            f"{file}: early must have type {EarlyFeatureDerain.__name__}, stage_channels and "
            f"places, got {early!r}"
        )
    return config


def _describes_early(early: Any) -> bool:
    parts = dict(type=str, stage_channels=dict, places=list)
    if not isinstance(early, dict) or early.get("type") != EarlyFeatureDerain.__name__:
        return False
    return all(isinstance(early.get(name), kind) for name, kind in parts.items())


def derain_config(folder: Path) -> dict[str, Any]:
    """Return ``type``, ``in_channels`` and options of an adapter's neck, as a config has them."""
    return dict(read_adapter_config(folder)["derain"])


def _refuse_other_weights(model: nn.Module, folder: Path, config: Mapping[str, Any]) -> None:
    found, expected = backbone_hash(model), config.get("backbone_sha256")
    if found != expected:
        raise ValueError(
            f"the adapter {folder} was trained for {config.get('base_model_name_or_path')}, whose "
            f"backbone has the hash {str(expected)[:12]}, and this {type(model).__name__} has "
            f"other weights ({found[:12]}): load that checkpoint, or adapt this detector with "
            "derain-adapt"
        )


def _read_blocks(
    folder: Path, config: Mapping[str, Any]
) -> tuple[BaseFeatureDerain, AdapterBlocks | None]:
    file = folder / WEIGHTS
    if not file.is_file():
        raise FileNotFoundError(f"{folder} has a {CONFIG} but no {WEIGHTS}: copy both")
    neck_options, early_options = dict(config["derain"]), dict(config.get("early") or {})
    neck = DERAIN_NECKS[neck_options.pop("type")](**neck_options)
    try:
        weights = load(file.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged ({error}): copy it again") from error
    early = None
    if early_options.pop("type", None):
        early = AdapterBlocks(**early_options)
        names = [name for name in weights if name.startswith(EARLY_PREFIX)]
        _fill(early, {k.removeprefix(EARLY_PREFIX): weights.pop(k) for k in names}, file)
    _fill(neck, weights, file)
    return neck, early


def _fill(blocks: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    what = f"{file} does not fit the {type(blocks).__name__} that {CONFIG} describes"
    load_whole(blocks, weights, what, "Copy both files of the adapter again")

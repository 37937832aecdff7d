"""Adapter files: what they say of their blocks, and for which detector they are.

``adapter.safetensors`` holds the weights and ``adapter_config.json`` the rest, as PEFT has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from derain_plugin.adapting.base_weights import backbone_hash
from derain_plugin.adapting.early_blocks import AdapterBlocks
from derain_plugin.adapting.front_filter import AdapterFilter
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.files import atomic_write
from derain_plugin.hf.modeling_feature_derain_rtdetr import DERAIN_NECKS
from derain_plugin.models.loading import load_whole
from derain_plugin.models.necks.feature_derain import BaseFeatureDerain
from derain_plugin.rain import RENDERER_VERSION
from derain_plugin.version import __version__

WEIGHTS, CONFIG = "adapter.safetensors", "adapter_config.json"
TYPE = "DERAIN_NECK"
PREFIXED: dict[str, tuple[Any, dict[str, type]]] = dict(
    early=(AdapterBlocks, dict(stage_channels=dict, places=list)),
    image_filter=(AdapterFilter, dict(mean=list, std=list)),
)
"""Parts beside the neck, whose weights have their name in front, and arguments they must have."""


class Parts(NamedTuple):
    """What an adapter brings: its neck, and early blocks and an image filter or None."""

    neck: BaseFeatureDerain
    early: AdapterBlocks | None
    image_filter: AdapterFilter | None


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
    """Write the de-rain neck of a detector, its early blocks and image filter as an adapter.

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
    others = {name: part for name, part in detector.blocks.items() if name in PREFIXED}
    config = dict(
        adapter_type=TYPE,
        base_model_name_or_path=base,
        base_sha256=base_sha256,
        backbone_sha256=backbone_hash(detector.model),
        placement=_placement(others),
        derain={**derain, "in_channels": list(detector.derain.in_channels)},
        **{name: part.settings for name, part in others.items()},
        rain=dict(rain or {}),
        rain_version=RENDERER_VERSION,
        plugin_version=__version__,
        training=dict(training or {}),
    )
    weights = dict(detector.derain.state_dict())
    for name, part in others.items():
        part.state_dict(destination=weights, prefix=f"{name}.")
    weights = {k: v.detach().cpu().contiguous() for k, v in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / WEIGHTS, save(weights))
    atomic_write(folder / CONFIG, json.dumps(config, indent=1))


def _placement(others: Mapping[str, Any]) -> str:
    said = "before the detector's neck"
    if "early" in others:
        said += f", and after {', '.join(others['early'].settings['places'])} of its backbone"
    return f"in front of the backbone, and {said}" if "image_filter" in others else said


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
    for name, (kind, arguments) in PREFIXED.items():
        part = config.get(name)
        if part is not None and not _describes(part, kind, arguments):
            raise ValueError(
                f"{file}: {name} must have type {kind.TYPE}, {' and '.join(arguments)}, got "
                f"{part!r}"
            )
    return config


def _describes(part: Any, kind: Any, arguments: Mapping[str, type]) -> bool:
    if not isinstance(part, dict) or part.get("type") != kind.TYPE:
        return False
    return all(isinstance(part.get(name), expected) for name, expected in arguments.items())


def derain_config(folder: Path) -> dict[str, Any]:
    """Return ``type``, ``in_channels`` and options of an adapter's neck, as a config has them."""
    return dict(read_adapter_config(folder)["derain"])


def read_parts(folder: Path, config: Mapping[str, Any]) -> Parts:
    """Build what ``adapter_config.json`` describes, with its weights.

    Raises:
        FileNotFoundError: There are no weights.
        ValueError: They are damaged, or are not those of these parts.
    """
    file = folder / WEIGHTS
    if not file.is_file():
        raise FileNotFoundError(f"{folder} has a {CONFIG} but no {WEIGHTS}: copy both")
    try:
        weights = load(file.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged ({error}): copy it again") from error
    others = {name: _read_part(name, config, weights, file) for name in PREFIXED}
    options = dict(config["derain"])
    neck = DERAIN_NECKS[options.pop("type")](**options)
    _fill(neck, weights, file)
    return Parts(neck, **others)


def _read_part(name: str, config: Mapping[str, Any], weights: dict[str, Tensor], file: Path) -> Any:
    """Return a part beside the neck, or None; its weights are taken out of ``weights``."""
    options = dict(config.get(name) or {})
    if not options.pop("type", None):
        return None
    part, prefix = PREFIXED[name][0](**options), f"{name}."
    own = [key for key in weights if key.startswith(prefix)]
    _fill(part, {key.removeprefix(prefix): weights.pop(key) for key in own}, file)
    return part


def _fill(blocks: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    what = f"{file} does not fit the {type(blocks).__name__} that {CONFIG} describes"
    load_whole(blocks, weights, what, "Copy both files of the adapter again")

"""What a result of the study depends on, in a few characters."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mmengine.config import Config

from derain_plugin.rain.seeding import RENDERER_VERSION

TRAINING = (
    "model", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "custom_hooks",
    "randomness",
)  # fmt: skip
TESTING = ("model", "test_dataloader", "test_evaluator")
"""The sections of a config that decide what it learns, and what its test finds."""

IDLE = ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor")
"""Options of data loaders that change no image."""


def settings_of(*parts: Any) -> str:
    """Return a digest of ``parts`` and of the renderer's version, the same on every machine."""
    return digest_of(RENDERER_VERSION, *parts)


def digest_of(*parts: Any) -> str:
    """Return a digest of ``parts`` alone."""
    text = json.dumps(parts, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def training_sections(cfg: Config) -> dict[str, Any]:
    """Return what decides what ``cfg`` learns, but for seeds, data and initial weights."""
    offset = cfg.get("default_hooks", {}).get("sampler_seed")  # which epochs it sees
    sections = dict(_sections(cfg, TRAINING), sampler_seed=offset)
    if sections["optim_wrapper"]:  # how groups are built changes nothing that is learned
        sections["optim_wrapper"].pop("constructor", None)
    if phases := phases_of(cfg):  # as the first records have them, where a hook listed them
        hook = dict(type="PhasedTrainingHook", phases=phases)
        sections["custom_hooks"] = [hook, *(sections["custom_hooks"] or [])]
    return sections


def testing_sections(cfg: Config) -> dict[str, Any]:
    """Return what decides what a test of ``cfg`` finds, but for data and weights."""
    return _sections(cfg, TESTING)


def phases_of(cfg: Config) -> list[dict[str, Any]]:
    """Return the phases that ``cfg`` trains in; none where it trains all the time alike."""
    last = cfg.train_cfg.max_epochs
    return [
        dict(phase, name=name, epochs=[phase["epochs"][0], phase["epochs"][1] or last])
        for name, phase in (cfg.get("phases") or {}).items()
    ]


def _sections(cfg: Config, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _without_idle(cfg.get(name)) for name in names}


def _without_idle(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_idle(value) for key, value in node.items() if key not in IDLE}
    if isinstance(node, list | tuple):
        return [_without_idle(value) for value in node]
    return node

"""Our dataset and metric in the place of mmdet's, which number labels by the file's order."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

NAMED = {"CocoDataset": "NamedCocoDataset", "CocoMetric": "NamedCocoMetric"}
SECTIONS = [
    f"{name}_{part}" for name in ("train", "val", "test") for part in ("dataloader", "evaluator")
]


def use_named_types(cfg: Config) -> None:
    """Replace mmdet's dataset and metric in the loaders and evaluators of ``cfg``, in place.

    Their subclasses stay.
    """
    for section in SECTIONS:
        _replace(cfg.get(section))


def _replace(node: Any) -> None:
    if isinstance(node, dict):
        if (kind := _mmdets_name(node.get("type"))) in NAMED:
            node["type"] = NAMED[kind]
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in list(node):
        _replace(child)


def _mmdets_name(kind: Any) -> str | None:
    """Return the name of a type in a config, which may be the class itself."""
    if isinstance(kind, type):
        return kind.__name__ if kind.__module__.startswith("mmdet.") else None
    return kind.removeprefix("mmdet.") if isinstance(kind, str) else None

"""Load a config so that its settings reach everything that depends on them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from derain_plugin.config.named_types import use_named_types
from derain_plugin.config.settings import fill_settings
from derain_plugin.mim import shipped_path

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def load_config(filename: str | Path, cfg_options: dict[str, Any] | None = None) -> Config:
    """Read a config as ``tools/train.py`` and ``tools/test.py`` do.

    ``data_root``, ``rainy_root``, ``classes``, ``percent``, ``synthetic_rain``, ``rain_components``
    and ``image_size`` reach the targets that the config's block ``settings`` names; a target that a
    config or ``cfg_options`` sets directly stays. ``derain_plugin.config.settings`` says who wins.
    A ``RainTwin`` without severity renders ``synthetic_rain`` itself, on clean images. A data
    loader without workers gets ``persistent_workers=False``, which torch requires. mmdet's
    ``CocoDataset`` and ``CocoMetric`` give way to ours, which number labels by name.

    Args:
        filename: A config file, or one of ours as ``"derain_plugin::rtdetr/rtdetr_r18_coco.py"``.
        cfg_options: Overrides as ``--cfg-options`` gives them: dotted key to value.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: A setting has a value that cannot be used, or an override is of no setting but
            much like one.
    """
    cfg = Config.fromfile(shipped_path(filename))
    _drop_own_scope(cfg)
    check_option_names(cfg, cfg_options or ())
    cfg.merge_from_dict(cfg_options or {})
    use_named_types(cfg)
    _check_old_record(cfg)
    fill_settings(cfg, cfg_options)
    for section in LOADERS:
        loader = cfg.get(section) or {}
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False
    return cfg


def _drop_own_scope(cfg: Config) -> None:
    """Take back the scope that mmengine gives to what is inherited as ``derain_plugin::``.

    Our parts are registered in mmdet's registries, and so are those of mmdet that we use.
    """
    for node in _dicts(list(cfg.values())):
        if node.get("_scope_") == "derain_plugin":
            del node["_scope_"]


def _dicts(node: Any) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in list(node):
        yield from _dicts(child)


def _check_old_record(cfg: Config) -> None:
    """Refuse new settings for a config that was dumped before it named their targets."""
    filled = {} if "settings" in cfg else cfg.get("written_with", {})
    for name in filled:
        if cfg.get(name) != filled[name]:
            raise ValueError(
                f"{name}={cfg.get(name)!r} reaches nothing: this config was dumped by an earlier "
                f"version with {filled[name]!r} and does not name what {name} fills. Start from "
                "the config that it was dumped from"
            )


SIMILARITY = 0.75  # of difflib: percnt and percent have 0.92, data_dir and data_root 0.71


def check_option_names(cfg: Config, names: Iterable[str]) -> None:
    """Refuse an override that only adds a name much like one that the config has.

    mmengine takes any name. A new one is right where the config's own code or the runner asks for
    it; one that differs from a setting by a letter changes nothing, and nobody says so.

    Args:
        cfg: Before the overrides.
        names: Dotted keys of the overrides; the first part of each is looked at.

    Raises:
        ValueError: There is no such name, but one like it.
    """
    known = {*cfg.keys(), *inspect.signature(Runner.__init__).parameters}
    for name in names:
        first = name.partition(".")[0]
        if first not in known and (similar := get_close_matches(first, list(cfg), 1, SIMILARITY)):
            raise ValueError(
                f"the config has no {first}, which {name}= would set; did you mean {similar[0]}?"
            )


def first_dataset(cfg: Config, name: str) -> dict:
    """Return the config of the data set that a test begins with, the clean one in our configs.

    Raises:
        ValueError: The test data of ``cfg``, which is called ``name``, has no pipeline.
    """
    dataset = (cfg.get("test_dataloader") or {}).get("dataset") or {}
    while "pipeline" not in dataset:  # a wrapper of one or several
        dataset = dataset.get("dataset") or next(iter(dataset.get("datasets", ())), None)
        if dataset is None:
            raise ValueError(
                f"{name} has no pipeline in test_dataloader.dataset, so it does not say how "
                "images are prepared for its detector"
            )
    return dataset

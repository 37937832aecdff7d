"""Load a config so that its data settings reach everything that depends on them.

mmengine fills a base config's variables in when it parses that file: a child config or
``--cfg-options`` that sets ``data_root`` changes the variable, but none of the datasets and
evaluators written with it. Our dataset bases therefore keep, in ``written_with``, the values
that they were written with, and :func:`load_config` carries the new ones over.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from derain_plugin.mim import shipped_path

DATA_SECTIONS = (
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "val_evaluator",
    "test_evaluator",
)
ROOTS = ("data_root", "rainy_root")
SIZES = dict(Resize="scale", RandomResize="scale", RandomCrop="crop_size", Pad="size")
STRIDE = 32  # px, of the coarsest feature map


def load_config(filename: str | Path, cfg_options: dict[str, Any] | None = None) -> Config:
    """Read a config as ``tools/train.py`` and ``tools/test.py`` do.

    ``data_root``, ``rainy_root``, ``classes``, ``percent``, ``synthetic_rain`` and ``image_size``
    reach every dataset, evaluator, ``num_classes`` and ``BatchRandomResize`` that was written
    with the base config's value; a value that a config sets on one dataset directly stays. A
    ``RainTwin`` without severity renders ``synthetic_rain`` itself, on clean images. A data loader
    without workers gets ``persistent_workers=False``, which torch requires.

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
    spread_settings(cfg)
    for section in DATA_SECTIONS[:3]:
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


def spread_settings(cfg: Config) -> None:
    """Carry changed data settings of ``cfg`` over, in place; does nothing without any."""
    if "written_with" not in cfg:
        return
    old = dict(cfg.written_with)
    new = {name: cfg.get(name) for name in old}
    for name in old.keys() & set(ROOTS):
        new[name] = _as_folder(name, new[name])
    of_detector = "classes" in old  # a restorer's data has folders and nothing else
    if of_detector:
        new["classes"] = _as_classes(new["classes"])
        new["synthetic_rain"] = _as_severity(new["synthetic_rain"])
        _check_image_size(new["image_size"])
    sections = [cfg.get(section) for section in DATA_SECTIONS]
    for node in _dicts(sections):
        _move_paths(node, old, new)
    if of_detector:
        _set_sizes(sections, old["image_size"], new["image_size"])
        for node in _dicts(sections):
            _set_dataset(node, old, new)
        _set_model(cfg, old, new)
    for name, value in new.items():
        cfg[name] = value
    cfg.written_with = new


def _set_dataset(node: dict, old: dict, new: dict) -> None:
    if "data_prefix" in node:
        _set_classes(node, old["classes"], new["classes"])
        _set_rain(node, old, new)
    if node.get("type") == "RainMixDataset" and node.get("percent") == old["percent"]:
        node["percent"] = new["percent"]


def _set_sizes(sections: list, old: int, new: int) -> None:
    """Make squares of ``old`` px in the pipelines squares of ``new`` px."""
    squares = [
        (node, SIZES[node["type"]])
        for node in _dicts(sections)
        if node.get("type") in SIZES and node.get(SIZES[node["type"]]) == (old, old)
    ]
    if new != old and not squares:
        raise ValueError(
            f"image_size={new} reaches nothing: no pipeline of this config has squares of {old} "
            "px; set the scales in its pipelines instead"
        )
    for step, key in squares:
        step[key] = (new, new)


def _set_model(cfg: Config, old: dict, new: dict) -> None:
    for node in _dicts(cfg.get("model")):
        if node.get("num_classes") == _num_classes(old["classes"]):
            node["num_classes"] = _num_classes(new["classes"])
        if node.get("type") == "BatchRandomResize":
            _scale_sizes(node, old["image_size"], new["image_size"])


def _as_folder(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be the path of a folder, got {value!r}")
    return value.rstrip("/") + "/"


def _as_classes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value)
    distinct = {name for name in names if isinstance(name, str)}
    if not names or len(distinct) < len(names):
        raise ValueError(
            f"classes must be distinct category names, or None for COCO's 80, got {value!r}"
        )
    return names


def _as_severity(value: Any) -> int | tuple[int, int] | None:
    # SyntheticRain itself refuses what is out of range, when it is built.
    return tuple(value) if isinstance(value, list | tuple) else value


def _check_image_size(value: Any) -> None:
    if not isinstance(value, int) or value < STRIDE or value % STRIDE:
        raise ValueError(f"image_size must be a positive multiple of {STRIDE} px, got {value!r}")


def _scale_sizes(augment: dict, old: int, new: int) -> None:
    """Move multi-scale sizes written around ``old`` to the same share of ``new``."""
    if old in augment["sizes"] and new not in augment["sizes"]:
        steps = [max(1, round(size * new / old / STRIDE)) for size in augment["sizes"]]
        augment["sizes"] = [step * STRIDE for step in steps]


def _num_classes(classes: tuple[str, ...] | None) -> int:
    return len(classes) if classes else 80


def _dicts(node: Any) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in list(node):
        yield from _dicts(child)


def _move_paths(node: dict, old: dict, new: dict) -> None:
    for key, value in node.items():
        if isinstance(value, str):
            node[key] = _moved(value, old, new)


def _moved(path: str, old: dict, new: dict) -> str:
    # The longer root first: one may lie inside the other.
    for name in sorted(old.keys() & set(ROOTS), key=lambda root: -len(old[root])):
        if path.startswith(old[name]):
            return new[name] + path.removeprefix(old[name])
    return path


def _set_classes(dataset: dict, old: Any, new: Any) -> None:
    metainfo = dict(dataset.get("metainfo") or {})
    current = metainfo.get("classes")
    if (tuple(current) if current else None) != (tuple(old) if old else None):
        return
    if new:
        dataset["metainfo"] = {**metainfo, "classes": new}
    elif current:
        del metainfo["classes"]
        dataset["metainfo"] = metainfo


def _set_rain(dataset: dict, old: dict, new: dict) -> None:
    """Switch a rainy dataset between images on disk and rain rendered while loading."""
    if any(step["type"] == "RainTwin" for step in dataset["pipeline"]):
        _set_twin(dataset, old, new)
        return
    images = dataset["data_prefix"].get("img", "")
    pipeline = [step for step in dataset["pipeline"] if not _renders(step, old["synthetic_rain"])]
    was_synthetic = len(pipeline) < len(dataset["pipeline"])
    if not was_synthetic and not images.startswith(new["rainy_root"]):
        return
    tail = images.removeprefix(new["data_root"] if was_synthetic else new["rainy_root"])
    if new["synthetic_rain"] is not None:
        rain = dict(type="SyntheticRain", severity=new["synthetic_rain"], seed=0)
        pipeline.insert(1, rain)  # right after the image is loaded
    root = new["rainy_root"] if new["synthetic_rain"] is None else new["data_root"]
    dataset["data_prefix"] = dict(dataset["data_prefix"], img=root + tail)
    dataset["pipeline"] = pipeline


def _set_twin(dataset: dict, old: dict, new: dict) -> None:
    """Let ``RainTwin`` render ``synthetic_rain``, unless it has a severity of its own."""
    pipeline = [dict(step) for step in dataset["pipeline"]]
    for step in pipeline:
        if step["type"] == "RainTwin" and step.get("severity") in (None, old["synthetic_rain"]):
            if new["synthetic_rain"] is None:
                raise ValueError(
                    "RainTwin renders the rain itself: set synthetic_rain to its severity, such as "
                    "3 or (1, 5); a rainy copy on disk does not say where its streaks are"
                )
            step["severity"] = new["synthetic_rain"]
    clean = dict(new, rainy_root=new["data_root"])
    images = _moved(dataset["data_prefix"].get("img", ""), new, clean)
    dataset["data_prefix"] = dict(dataset["data_prefix"], img=images)
    dataset["pipeline"] = pipeline


def _renders(step: dict, severity: Any) -> bool:
    return step["type"] == "SyntheticRain" and step.get("severity") == severity


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

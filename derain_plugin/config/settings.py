"""Fill the settings of a config in at the places that the config names.

mmengine fills a base config's variables in when it parses that file: a child config or
``--cfg-options`` that sets ``data_root`` changes the variable, but none of the datasets and
evaluators written with it. Our dataset bases therefore have a block ``settings``. It names the
targets that each setting fills, and the value that they are filled with so far::

    settings = dict(percent=dict(filled=100, value=["train_dataloader.dataset.percent"]))

:func:`fill_settings` fills the targets anew. Who wins:

1. a value that ``--cfg-options`` sets at a target, as ``train_dataloader.dataset.percent=100``;
2. a target that a config sets to another value than its base does, and a dataset that replaces
   the one which had it: what does not hold the value that was filled in stays;
3. the setting in ``--cfg-options``, then in the child config, then in the base.

What is no target stays. So a child that wants to keep the base's very value at a target, against
the setting, takes it off the list.

Targets are listed by kind, as they take a setting in different ways:

- ``value`` is the setting;
- ``folders`` are paths below it;
- ``metainfo`` are datasets with these classes, and ``num_classes`` is their number;
- ``rainy`` are datasets that read ``rainy_root`` or render ``synthetic_rain``, made of
  ``rain_components``;
- ``squares`` are ``(image_size, image_size)``, or ``image_size`` itself where that is
  ``(width, height)``, and ``multi_scale`` are sizes around it.

The module ``derain_plugin.config.targets`` says how a path reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from derain_plugin.config.fillers import FILLERS, STRIDE, move_folders, switch_rain
from derain_plugin.config.targets import Target, find_targets

ROOTS = ("data_root", "rainy_root")


def fill_settings(cfg: Config, cfg_options: Mapping[str, Any] | None = None) -> None:
    """Fill the settings of ``cfg`` in, in place; do nothing without a block ``settings``.

    Args:
        cfg: A config, merged with its overrides.
        cfg_options: The overrides, dotted key to value; targets that they name stay.

    Raises:
        ValueError: A setting has a value that cannot be used, or one reaches nothing.
    """
    settings = cfg.get("settings") or {}
    old = {name: setting["filled"] for name, setting in settings.items()}
    new = {name: _checked(name, cfg.get(name)) for name in settings}
    # Whole data sets among them are like those of a child config: what they hold decides.
    values = {name for name, value in (cfg_options or {}).items() if not isinstance(value, dict)}

    def targets(name: str, kind: str) -> list[Target]:
        paths = settings.get(name, {}).get(kind) or ()
        found = [target for path in paths for target in find_targets(cfg, path)]
        return [target for target in found if ".".join(target.path) not in values]

    roots = [name for name in ROOTS if name in settings]
    move_folders({name: targets(name, "folders") for name in roots}, old, new)
    for name, setting in settings.items():
        for kind in setting.keys() & FILLERS.keys():
            FILLERS[kind](targets(name, kind), old[name], new[name])
    switch_rain(targets("synthetic_rain", "rainy"), old, new)
    if old.get("classes") != new.get("classes"):
        _check_head(cfg)
    for name, value in new.items():
        cfg[name] = settings[name]["filled"] = value


def unfilled_settings(cfg: Config) -> dict[str, tuple[Any, Any]]:
    """Return the settings that their targets do not hold: name to (what they hold, setting)."""
    pairs = {
        name: (setting["filled"], _checked(name, cfg.get(name)))
        for name, setting in (cfg.get("settings") or {}).items()
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _checked(name: str, value: Any) -> Any:
    if name in ROOTS:
        return _as_folder(name, value)
    if name == "classes":
        return _as_classes(value)
    if name == "image_size":
        return _as_size(value)
    # What takes percent, synthetic_rain and rain_components checks them, when it is built.
    return tuple(value) if isinstance(value, list) else value


def _as_size(value: Any) -> int | tuple[int, int]:
    sides = value if isinstance(value, list | tuple) else (value, value)
    are_good = all(type(side) is int and side >= STRIDE and not side % STRIDE for side in sides)
    if len(sides) != 2 or not are_good:
        raise ValueError(
            f"image_size must be a positive multiple of {STRIDE} px, or two of them as (width, "
            f"height), got {value!r}"
        )
    width, height = sides
    return width if width == height else (width, height)


def _as_folder(name: str, value: Any) -> str:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"{name} must be the path of a folder, got {value!r}")
    return os.path.expanduser(value).rstrip("/") + "/"


def _as_classes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value)
    distinct = {name for name in names if isinstance(name, str)}
    if not names or len(distinct) < len(names):
        raise ValueError(
            "classes must be distinct category names, as text, or None for COCO's 80, got "
            f"{value!r}"
        )
    return names


def _check_head(cfg: Config) -> None:
    paths = cfg["settings"]["classes"].get("num_classes") or ()
    if cfg.get("model") and not any(find_targets(cfg, path) for path in paths):
        raise ValueError(
            f"classes reaches no head: the model has nothing at {', '.join(paths) or 'no path'}. "
            "Name its num_classes in the config, such as settings = dict(classes=dict("
            'num_classes=["model.roi_head.bbox_head.num_classes"]))'
        )

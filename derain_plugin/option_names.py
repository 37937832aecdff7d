"""Mistyped names among the overrides of a config."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from difflib import get_close_matches

from mmengine.config import Config
from mmengine.runner import Runner

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

"""Places in a config, by the dotted paths that its block ``settings`` has.

``*`` stands for each item of a list, a number for one of them (``-1`` for the last), and the name
of a type, as in ``pipeline.Resize.scale``, for the items of that type, or of any of several, as in
``pipeline.Resize|WarpResize.scale``. Wrappers of datasets, such as ``RepeatDataset``, are looked
through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config


class Target(NamedTuple):
    """A key of a part of a config.

    Attributes:
        pattern: The dotted path that named it.
        path: Its own, with the places of list items.
        node: The part.
        key: The key, or the place in a list.
    """

    pattern: str
    path: tuple[str, ...]
    node: Any
    key: Any

    @property
    def value(self) -> Any:
        """What the config has there."""
        return self.node[self.key]

    def set(self, value: Any) -> None:
        """Put another value there."""
        self.node[self.key] = value


def find_targets(cfg: Config, pattern: str) -> list[Target]:
    """Return what ``pattern`` names in ``cfg``; nothing where the config has no such place."""
    return [Target(pattern, *found) for found in _find(cfg, pattern.split("."), ())]


def _find(node: Any, parts: list[str], above: tuple[str, ...]) -> Iterator[tuple]:
    if _wraps(node, parts[0]):
        parts = ["dataset", *parts]
    part, *rest = parts
    for key in _keys(node, part):
        path = (*above, str(key))
        if rest:
            yield from _find(node[key], rest, path)
        else:
            yield path, node, key


def _wraps(node: Any, part: str) -> bool:
    return isinstance(node, dict) and part not in node and isinstance(node.get("dataset"), dict)


def _keys(node: Any, part: str) -> list:
    if isinstance(node, dict | Config):
        return [part] if part in node else []
    if not isinstance(node, list | tuple):
        return []
    if part.lstrip("-").isdigit():
        place = int(part)
        return [place % len(node)] if -len(node) <= place < len(node) else []
    types = part.split("|")
    return [
        place
        for place, item in enumerate(node)
        if part == "*" or (isinstance(item, dict) and item.get("type") in types)
    ]

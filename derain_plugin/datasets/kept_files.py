"""Read an annotation file once for the check before a run and the datasets and metrics of the run.

Nothing is kept outside :func:`files_kept`, which commands enter, and nothing once the run begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Content = dict[str, list[dict]]

_kept: dict[tuple, Content] | None = None  # None: whoever reads a file owns what he gets


@contextmanager
def files_kept() -> Iterator[None]:
    """Keep the content of each annotation file until :func:`forget_files`, or the end.

    Who reads one meanwhile may not change what he gets.
    """
    global _kept
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def forget_files() -> None:
    """Free what is kept, and keep nothing more."""
    global _kept
    _kept = None


def once(path: str | Path, variant: Any, read: Callable[[], Content]) -> Content:
    """Return what ``read`` makes of a file, or what is kept of it if it has not changed since.

    Args:
        path: The file.
        variant: What else the content depends on.
        read: Reads it.
    """
    if _kept is None or not os.path.isfile(path):
        return read()
    status = os.stat(path)
    key = (os.path.abspath(path), status.st_mtime_ns, status.st_size, variant)
    if key not in _kept:
        _kept[key] = read()
    return _kept[key]

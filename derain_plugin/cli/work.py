"""What a command needs once its work begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import derain_plugin


@contextmanager
def working() -> Iterator[None]:
    """Register our parts, which a command of ours puts off until here."""
    derain_plugin.register_all_modules()
    yield

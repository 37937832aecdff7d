"""What a command needs once its work begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import derain_plugin


@contextmanager
def working() -> Iterator[None]:
    """Register our parts, which a command of ours puts off until here; make its files safe.

    Until the work ends, mmengine reads checkpoints as data, knows ``hf://`` and writes whole files.
    """
    derain_plugin.register_all_modules()
    from derain_plugin.engine.safety import install

    with install():
        yield

"""Files that appear whole or not at all."""

import os
from pathlib import Path

PARTIAL_SUFFIX = ".partial"


def write_whole(path: Path, content: bytes | str) -> None:
    """Write ``content`` beside ``path``, then move it there in one step.

    A process that is killed meanwhile leaves ``partial_of(path)`` behind, which the next
    attempt replaces. Text is written as UTF-8.
    """
    data = content.encode() if isinstance(content, str) else content
    partial_of(path).write_bytes(data)
    os.replace(partial_of(path), path)


def partial_of(path: Path) -> Path:
    """Return the name of ``path`` while it is being written."""
    return path.with_name(path.name + PARTIAL_SUFFIX)

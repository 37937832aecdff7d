"""Files that appear whole or not at all, and their checksums."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL_SUFFIX = ".partial"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Of an ``OSError``: the disk, or one's share of it, is full."""


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write ``content`` beside ``path``, then move it there in one step.

    A process that is killed meanwhile leaves ``partial_of(path)`` behind, which the next
    attempt replaces. Text is written as UTF-8.

    Raises:
        OSError: It cannot be written, for want of room perhaps. Nothing half-written is left,
            and an earlier file of that name stays as it is.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = partial_of(path)
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise not_written(error, path) from error


def not_written(error: OSError, path: Path) -> OSError:
    """Say which file could not be written, why, and what to do: Python leaves out the name."""
    reason = f"cannot write: {error.strerror or error}"
    if error.errno in NO_ROOM:
        reason += f" (make room in {path.parent} and start again)"
    return OSError(error.errno or errno.EIO, reason, str(path))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; its size does not matter.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def partial_of(path: Path) -> Path:
    """Return the name of ``path`` while it is being written."""
    return path.with_name(path.name + PARTIAL_SUFFIX)


@contextmanager
def lock_dir(folder: Path) -> Iterator[None]:
    """Lock ``folder``, which must exist; commands started meanwhile share the lock.

    So an orphan keeps the folder locked until it ends. Does nothing on Windows.

    Raises:
        ValueError: Another process has locked it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"the same command, or one that it left behind, still works in {folder}: "
                "wait for it, or stop it"
            ) from error
        os.set_inheritable(lock.fileno(), True)
        yield

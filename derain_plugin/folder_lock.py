"""One process at a time in a folder of results."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold ``folder``, which must exist; commands started meanwhile share the hold.

    So an orphan keeps the folder until it ends. Does nothing on Windows.

    Raises:
        ValueError: Another process holds it.
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

"""A small disk that one process alone sees, and that ends with it."""

import ctypes
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from forked import start_forked

_NEW_MOUNTS, _NEW_USER, _PRIVATE = 0x20000, 0x10000000, 1 << 18 | 1 << 14


@cache
def require_small_disk():
    """Skip the test where neither root nor a user namespace may mount one."""
    with TemporaryDirectory() as folder:
        process = start_forked(mount_small_disk, Path(folder), 64)
        process.join()
    if process.exitcode:
        pytest.skip("mounting a tmpfs needs root or user namespaces, and both are denied here")


def mount_small_disk(folder: Path, kilobytes: int) -> None:
    """Mount one on ``folder`` for this process, which must have no other thread.

    Raises:
        OSError: The system denies it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_MOUNTS):
        _check(libc.unshare(_NEW_MOUNTS | _NEW_USER))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _check(libc.mount(b"none", b"/", None, _PRIVATE, None))
    size = f"size={kilobytes}k".encode()
    _check(libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, size))


def fill_disk(folder: Path, *, leave: int = 0) -> Path:
    """Write a file until nothing more fits in, or until so many kilobytes are left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - 1024 * leave)
    return filler


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

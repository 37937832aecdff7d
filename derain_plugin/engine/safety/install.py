"""Put our way of reading checkpoints and of writing files in the place of mmengine's.

Nothing here happens on import. Our commands, our Python interface and ``SafeFilesHook``, which
the shipped configs name, call :func:`install`; every other program keeps what mmengine has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from mmengine.fileio import LocalBackend, io, register_backend
from mmengine.fileio.backends import backends
from mmengine.runner import CheckpointLoader

from derain_plugin.engine.safety import remote_checkpoint
from derain_plugin.engine.safety.checkpoint import load_from_local
from derain_plugin.files import atomic_write

Loader = Callable[..., dict]
LOADERS: dict[str, Loader] = {
    "": load_from_local,
    "http://": remote_checkpoint.load_from_http,
    "https://": remote_checkpoint.load_from_http,
    "modelzoo://": remote_checkpoint.load_from_torchvision,
    "torchvision://": remote_checkpoint.load_from_torchvision,
    "open-mmlab://": remote_checkpoint.load_from_openmmlab,
    "openmmlab://": remote_checkpoint.load_from_openmmlab,
    "mmcls://": remote_checkpoint.load_from_mmcls,
    "pavi://": remote_checkpoint.load_from_pavi,
    r"(\S+\:)?s3://": remote_checkpoint.load_from_ceph,
    r"(\S+\:)?petrel://": remote_checkpoint.load_from_ceph,
}
"""What :func:`install` gives mmengine, by the beginning of an address."""

_lock = Lock()
_kept: set[str] = set()
_holders: list[Installation] = []
_undo: list[Callable[[], None]] = []


class Installation:
    """What :func:`install` returns: ``undo()``, or the end of its ``with`` block, takes it back."""

    def undo(self) -> None:
        """Give mmengine back what it had, unless someone else still holds an installation."""
        with _lock:
            if self not in _holders:
                return
            _holders.remove(self)
            while _undo and not _holders:
                _undo.pop()()

    def __enter__(self) -> Installation:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take it back."""
        self.undo()


class WholeFileBackend(LocalBackend):
    """mmengine's backend for local files, for a process that may be killed at any moment.

    mmengine writes an epoch's checkpoint a second time, over the first, when the epoch turns
    out to be the best. Killed while it does so, a run would have no checkpoint to resume from.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` beside ``filepath``, then move it there in one step.

        Raises:
            OSError: There is no room, say; an earlier file of that name stays as it is.
        """
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(Path(filepath), obj)


def install() -> Installation:
    """Let all of mmengine in this process read checkpoints as data and write whole files.

    - A checkpoint, from a file or an address, is read without running code of it; one that needs
      code is refused. ``hf://`` is known.
    - A local file is written whole or not at all.

    Several may hold it at once; it ends when the last of them has called ``undo``.

    Example:
        >>> with install():
        ...     loader = CheckpointLoader._get_checkpoint_loader("epoch_1.pth")
        >>> loader is load_from_local
        True
    """
    holder = Installation()
    with _lock:
        if not _holders:
            for prefix, loader in LOADERS.items():
                _put_loader(prefix, loader)
            _put_backend()
        _holders.append(holder)
    return holder


def scheme(prefix: str) -> Callable[[Loader], Loader]:
    """Register a loader of ours for addresses that begin with ``prefix``; see :func:`install`."""

    def register(loader: Loader) -> Loader:
        with _lock:
            LOADERS[prefix] = loader
            if _holders:
                _put_loader(prefix, loader)
        return loader

    return register


def keep(prefix: str, loader: Loader) -> None:
    """Let all of mmengine know ``loader``, from now on and whatever is undone."""
    with _lock:
        _kept.add(prefix)
        CheckpointLoader.register_scheme(prefix, loader, force=True)


def _put_loader(prefix: str, loader: Loader) -> None:
    before = CheckpointLoader._schemes.get(prefix)
    CheckpointLoader.register_scheme(prefix, loader, force=True)

    def put_back() -> None:
        if before is not None:
            CheckpointLoader.register_scheme(prefix, before, force=True)
        elif prefix not in _kept:  # mmengine has no way to forget one
            CheckpointLoader._schemes.pop(prefix, None)

    _undo.append(put_back)


def _put_backend() -> None:
    before = backends["local"]
    cached = _take_cached(before)
    register_backend("local", WholeFileBackend, force=True, prefixes="")

    def put_back() -> None:
        register_backend("local", before, force=True, prefixes="")
        _take_cached(WholeFileBackend)
        io.backend_instances.update(cached)

    _undo.append(put_back)


def _take_cached(backend: type) -> dict[str, Any]:
    """Let mmengine ask for its backend anew."""
    instances = io.backend_instances
    keys = [key for key, instance in instances.items() if type(instance) is backend]
    return {key: instances.pop(key) for key in keys}

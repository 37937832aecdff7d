"""Checkpoint files that are written whole or not at all."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from derain_plugin.files import atomic_write


@register_backend("local", force=True, prefixes="")
class WholeFileBackend(LocalBackend):
    """mmengine's backend for local files, for a process that may be killed at any moment.

    mmengine writes an epoch's checkpoint a second time, over the first, when the epoch turns
    out to be the best. Killed while it does so, a run would have no checkpoint to resume from.
    Importing this module makes it mmengine's backend for every local path.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` beside ``filepath``, then move it there in one step.

        Raises:
            OSError: There is no room, say; an earlier file of that name stays as it is.
        """
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(Path(filepath), obj)

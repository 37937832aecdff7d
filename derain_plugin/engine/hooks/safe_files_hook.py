"""Checkpoints read as data, files written whole, for runs that do not start with our commands."""

import weakref
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from derain_plugin.engine.safety import install
from derain_plugin.models.necks.derain_neck import require_whole_checkpoint


@HOOKS.register_module()
class SafeFilesHook(Hook):
    """Make a run's files safe, whichever program started it: mmdet's ``tools/train.py``, say.

    From before a run loads anything until it has ended,

    - every checkpoint is read without running code of it, ``hf://`` is known, and local files are
      written whole or not at all: see :func:`derain_plugin.engine.safety.install`;
    - a checkpoint that lacks weights of a detector with a ``DerainNeck`` is refused, where
      mmengine would only warn.

    Afterwards mmengine is as it was.
    """

    priority = "HIGHEST"

    def __init__(self) -> None:
        self._endings: list[weakref.finalize] = []

    def before_run(self, runner: Runner) -> None:
        """Begin, once for all runs of ``runner`` that have not ended."""
        if self._endings:
            return
        handle: Any = require_whole_checkpoint(runner.model)
        undo = [install().undo] + ([handle.remove] if handle is not None else [])
        # A run that an error ends never comes to after_run.
        self._endings = [weakref.finalize(runner, function) for function in undo]

    def after_run(self, runner: Runner) -> None:
        """End."""
        for end in self._endings:
            end()
        self._endings = []

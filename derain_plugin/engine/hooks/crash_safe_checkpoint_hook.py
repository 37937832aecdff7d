"""Checkpoints of which there is always one to continue from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from derain_plugin.files import atomic_write

OUTDATED = "outdated_ckpts"


@HOOKS.register_module()
class CrashSafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` for a run that may be killed or find the disk full.

    mmengine removes the checkpoint that leaves ``max_keep_ckpts``, and the best one so far,
    *before* it writes those that take their places, and it empties ``last_checkpoint`` before it
    writes the new name. Stopped in between, a run has lost them. Here

    - a file is removed only when its successor and ``last_checkpoint`` are written, so the disk
      needs room for one checkpoint more than are kept;
    - ``last_checkpoint`` changes in one step;
    - what a killed run had yet to remove is removed when it is resumed.

    Arguments are mmengine's. That each file is written whole or not at all is the part of
    ``SafeFilesHook``.
    """

    file_backend: Any

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to resume from weights alone, which mmengine finds out by a ``KeyError``."""
        # mmengine says nowhere else that this is a resume; the epoch is set later.
        if runner._resume and "epoch" not in checkpoint.get("meta", {}):
            raise ValueError(
                "the checkpoint to resume from does not say after which epoch, so no training "
                "left it. Start from its weights with --cfg-options load_from=..., without --resume"
            )

    def before_train(self, runner: Runner) -> None:
        """Finish what a killed run had begun."""
        super().before_train(runner)
        self._remove_outdated(runner)

    def _save_checkpoint(self, runner: Runner) -> None:
        super()._save_checkpoint(runner)
        self._remove_outdated(runner)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if not self.save_best:  # perhaps a validation alone, for which nothing is prepared
            return
        with self._only_noting_removals(runner):
            super()._save_best_checkpoint(runner, metrics)
        self._remove_outdated(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, int]) -> None:
        self._keep(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            atomic_write(Path(runner.work_dir, "last_checkpoint"), self.last_ckpt)

    def _keep(self, runner: Runner, step: int) -> None:
        if self.max_keep_ckpts <= 0 or step in list(self.keep_ckpt_ids)[-1:]:
            return
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            _note(runner, self.filename_tmpl.format(self.keep_ckpt_ids[0]))
        self.keep_ckpt_ids.append(step)  # drops the first one when it is full
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))

    def _remove_outdated(self, runner: Runner) -> None:
        backend = self.file_backend
        for name in runner.message_hub.runtime_info.get(OUTDATED, []):
            path = backend.join_path(self.out_dir, name)
            if is_main_process() and backend.isfile(path):
                backend.remove(path)
            elif is_main_process() and backend.isdir(path):  # DeepSpeed's
                backend.rmtree(path)
        runner.message_hub.update_info(OUTDATED, [])

    @contextmanager
    def _only_noting_removals(self, runner: Runner) -> Iterator[None]:
        backend = self.file_backend
        self.file_backend = _NotingBackend(backend, runner)
        try:
            yield
        finally:
            self.file_backend = backend


class _NotingBackend:
    """A file backend that only notes what it shall remove."""

    def __init__(self, backend: Any, runner: Runner) -> None:
        self._backend, self._runner = backend, runner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        _note(self._runner, Path(path).name)

    rmtree = remove


def _note(runner: Runner, name: str) -> None:
    """Store what to remove in the checkpoint to come: only then it may be removed."""
    noted = runner.message_hub.runtime_info.get(OUTDATED, [])
    runner.message_hub.update_info(OUTDATED, [*noted, name])

"""Early stopping that begins with the last phase and survives a resume."""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from derain_plugin.engine.hooks.phased_training_hook import PhasedTrainingHook


@HOOKS.register_module()
class PhasedEarlyStoppingHook(EarlyStoppingHook):
    """Stop when validations of the last phase no longer improve.

    Earlier phases train only a part of the model, so their scores say nothing
    about when to stop. Needs a :class:`PhasedTrainingHook` in the same run.

    A checkpoint holds the count from before the validation of its epoch. With
    :class:`ResumeValidationHook`, which repeats that validation, a resumed run
    stops where an uninterrupted one stops.

    Args:
        monitor: Key of the metric, such as ``'coco/bbox_mAP'``.
        patience: Validations without improvement after which training stops.
        min_delta: Least improvement that counts. The default lets every change
            of mmdet's COCO metrics count, which are rounded to 0.001.
        **kwargs: See mmengine's :class:`EarlyStoppingHook`.
    """

    # As the CheckpointHook, but registered after it, and before ResumeValidationHook.
    priority = "VERY_LOW"

    def __init__(
        self, monitor: str, *, patience: int = 3, min_delta: float = 5e-4, **kwargs: Any
    ) -> None:
        super().__init__(monitor, patience=patience, min_delta=min_delta, **kwargs)
        self._last_phase_start: int | None = None
        self._stored: dict[str, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Do nothing: the check of mmengine's hook builds the training data even for a test."""

    def before_train(self, runner: Runner) -> None:
        """Find the last phase, and take up the count of the resumed checkpoint.

        Raises:
            ValueError: If the run has no PhasedTrainingHook.
        """
        hooks = [hook for hook in runner.hooks if isinstance(hook, PhasedTrainingHook)]
        phased = [hook for hook in hooks if hook.phases]
        if len(phased) != 1:
            raise ValueError(
                "PhasedEarlyStoppingHook needs one PhasedTrainingHook with phases, got "
                f"{len(phased)}; use EarlyStoppingHook for a run without phases"
            )
        self._last_phase_start = phased[0].phases[-1].first_epoch
        if self._stored and runner.epoch > 0:  # else the checkpoint was only loaded from
            self.wait_count = self._stored["wait_count"]
            self.best_score = self._stored["best_score"]

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Count the validation if it belongs to the last phase."""
        if self._last_phase_start is not None and runner.epoch >= self._last_phase_start:
            super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the count as plain numbers, which load without executing code."""
        checkpoint["early_stopping"] = dict(
            wait_count=int(self.wait_count), best_score=float(self.best_score)
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the stored count until it is known whether this is a resume."""
        self._stored = checkpoint.get("early_stopping", {})

"""The validation that a resume would skip."""

from bisect import bisect
from copy import deepcopy

from mmdet.registry import HOOKS
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

VALIDATED = "validated_epoch"


@HOOKS.register_module()
class ResumeValidationHook(Hook):
    """On resume, first repeat the validation of the checkpoint's epoch.

    mmengine saves an epoch's checkpoint before it validates that epoch and, when resumed
    from it, goes on with the next epoch. What came of the validation would be lost: the best
    score and checkpoint, the count of early stopping, the entry in the log. So if the
    validation was due it is repeated, whether or not the stopped run had come to it; the
    result is the same. The history of scores gets it once: a new best epoch's checkpoint, which
    is saved again after the validation, has it already.

    Other hooks must be ready for a validation in their ``before_train``. This one's comes
    last, except for hooks of priority ``LOWEST`` that are registered later.
    """

    priority = "LOWEST"

    def before_train(self, runner: Runner) -> None:
        """Validate if this is a resume from an epoch that had to be validated."""
        if runner.epoch == 0 or not _is_validated(runner, runner.epoch):
            return
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                # Else it would not add a new best score to the epoch's checkpoint.
                hook.last_ckpt = runner.message_hub.get_info("last_ckpt")
        runner.logger.info(f"Repeating the validation of epoch {runner.epoch} after resume")
        scores = runner.message_hub.log_scalars
        known = {name: deepcopy(scores[name]) for name in scores if name.startswith("val/")}
        is_known = runner.message_hub.runtime_info.get(VALIDATED) == runner.epoch
        # As it was when the epoch had just been trained: a best checkpoint stores that.
        runner.message_hub.update_info_dict(dict(epoch=runner.epoch - 1, iter=runner.iter - 1))
        runner.val_loop.run()
        scores.update(known if is_known else {})

    def before_val_epoch(self, runner: Runner) -> None:
        """Let a checkpoint that this validation causes say so."""
        runner.message_hub.update_info(VALIDATED, runner.epoch)


def _is_validated(runner: Runner, epoch: int) -> bool:
    """Whether the training loop validates after ``epoch``, counted from 1."""
    loop = runner.train_loop
    if runner.val_loop is None or epoch < loop.val_begin:
        return False
    interval = loop.dynamic_intervals[bisect(loop.dynamic_milestones, epoch + 1) - 1]
    return epoch % interval == 0 or epoch == loop.max_epochs

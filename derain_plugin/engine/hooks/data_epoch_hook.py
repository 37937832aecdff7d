"""Tell the training data which epoch it is."""

import logging
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner


@HOOKS.register_module()
class DataEpochHook(Hook):
    """Set the epoch of the training dataset and of its sampler before each epoch.

    The dataset may sit in mmengine's or mmdet's wrappers. mmengine's
    ``DistSamplerSeedHook`` sets the sampler's epoch without the offset, so this
    hook runs after it. It runs before the loop asks the dataloader for an
    iterator, so workers, persistent or not, prefetch nothing of the old draw.

    Args:
        epoch_offset: Added to ``runner.epoch``. With ``epoch_offset=5`` the first
            epoch has the pictures, rain and order of epoch 6 of another run with
            the same seeds: a control for its second phase.

    Raises:
        ValueError: ``epoch_offset`` is no integer or negative.
    """

    priority = "BELOW_NORMAL"

    def __init__(self, epoch_offset: int = 0) -> None:
        if not isinstance(epoch_offset, int) or epoch_offset < 0:
            raise ValueError(f"epoch_offset must be an integer >= 0, got {epoch_offset!r}")
        self.epoch_offset = epoch_offset

    def before_train(self, runner: Runner) -> None:
        """Warn when the loop has no epochs."""
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            print_log(
                "DataEpochHook: an iteration-based loop is one single epoch, so what the dataset "
                "draws per epoch never changes; use EpochBasedTrainLoop",
                logger="current",
                level=logging.WARNING,
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the epoch on whatever draws per epoch."""
        epoch = runner.epoch + self.epoch_offset
        dataloader = runner.train_loop.dataloader
        _set_epoch(dataloader.dataset, epoch)
        # With a batch sampler, DataLoader.sampler is a placeholder.
        samplers: list[Any] = [
            dataloader.sampler,
            getattr(dataloader.batch_sampler, "sampler", None),
        ]
        for sampler in samplers:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)


def _set_epoch(dataset: Any, epoch: int) -> None:
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(epoch)
        return
    children = [dataset.dataset] if hasattr(dataset, "dataset") else []
    for child in children + list(getattr(dataset, "datasets", [])):
        _set_epoch(child, epoch)

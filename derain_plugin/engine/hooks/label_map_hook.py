"""A checkpoint's labels are those of the config, or its class layers start anew."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from derain_plugin.datasets.label_map import (
    configured_classes,
    require_same_classes,
    start_class_layers_anew,
)


@HOOKS.register_module()
class LabelMapHook(Hook):
    """Compare the class names of a checkpoint with the config's before any of it is used.

    A training that starts from one of other names (``load_from``) keeps its fresh class layers. A
    test, a validation and a resumed training refuse it.
    """

    priority = "VERY_HIGH"  # before EMAHook takes the weights

    @classmethod
    def register(cls, runner: Runner) -> None:
        """Add it to the hooks of a config that does not have it, such as one of mmdet's."""
        if not any(isinstance(hook, cls) for hook in runner.hooks):
            runner.register_hook(cls())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, once the checkpoint is read and before its weights are loaded.

        Raises:
            ValueError: The classes differ, and this is no start of a training.
        """
        is_training = isinstance(runner.optim_wrapper, OptimWrapper)
        loaders = ("train_dataloader", "val_dataloader") if is_training else ("test_dataloader",)
        classes = configured_classes(runner.cfg, loaders)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if is_training and not runner._resume:
            start_class_layers_anew(checkpoint, classes, model, runner.cfg.model)
        else:
            source = getattr(runner, "_load_from", None) or "the checkpoint"
            require_same_classes(checkpoint, classes, model, source=source)

from derain_plugin.engine.hooks.data_epoch_hook import DataEpochHook
from derain_plugin.engine.hooks.phased_early_stopping_hook import PhasedEarlyStoppingHook
from derain_plugin.engine.hooks.phased_training_hook import PhasedTrainingHook

__all__ = ["DataEpochHook", "PhasedEarlyStoppingHook", "PhasedTrainingHook"]

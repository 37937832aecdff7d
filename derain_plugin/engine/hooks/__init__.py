from derain_plugin.engine.hooks.crash_safe_checkpoint_hook import CrashSafeCheckpointHook
from derain_plugin.engine.hooks.epoch_seed_hook import EpochSeedHook
from derain_plugin.engine.hooks.forget_files_hook import ForgetFilesHook
from derain_plugin.engine.hooks.label_map_hook import LabelMapHook
from derain_plugin.engine.hooks.phased_early_stopping_hook import PhasedEarlyStoppingHook
from derain_plugin.engine.hooks.phased_training_hook import PhasedTrainingHook
from derain_plugin.engine.hooks.rain_mask_saving_hook import RainMaskSavingHook
from derain_plugin.engine.hooks.rain_mask_visualization_hook import RainMaskVisualizationHook
from derain_plugin.engine.hooks.rainy_visualization_hook import RainyVisualizationHook
from derain_plugin.engine.hooks.resume_by_name_hook import ResumeByNameHook
from derain_plugin.engine.hooks.resume_validation_hook import ResumeValidationHook
from derain_plugin.engine.hooks.safe_files_hook import SafeFilesHook
from derain_plugin.engine.hooks.skip_non_finite_hook import SkipNonFiniteHook

__all__ = [
    "CrashSafeCheckpointHook",
    "EpochSeedHook",
    "ForgetFilesHook",
    "LabelMapHook",
    "PhasedEarlyStoppingHook",
    "PhasedTrainingHook",
    "RainMaskSavingHook",
    "RainMaskVisualizationHook",
    "RainyVisualizationHook",
    "ResumeByNameHook",
    "ResumeValidationHook",
    "SafeFilesHook",
    "SkipNonFiniteHook",
]

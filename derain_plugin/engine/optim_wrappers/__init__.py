from derain_plugin.engine.optim_wrappers.bf16_optim_wrapper import BF16OptimWrapper
from derain_plugin.engine.optim_wrappers.enable_amp import enable_amp
from derain_plugin.engine.optim_wrappers.phased_optim_wrapper_constructor import (
    PhasedOptimWrapperConstructor,
)

__all__ = ["BF16OptimWrapper", "PhasedOptimWrapperConstructor", "enable_amp"]

from derain_plugin.engine.optim_wrappers.bf16_optim_wrapper import BF16OptimWrapper
from derain_plugin.engine.optim_wrappers.enable_amp import enable_amp

__all__ = ["BF16OptimWrapper", "enable_amp"]

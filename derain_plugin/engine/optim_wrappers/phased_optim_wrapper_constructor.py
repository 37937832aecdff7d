"""An optimizer whose every parameter has a rate of its own."""

from __future__ import annotations

from typing import Any

from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PhasedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's, with one group per parameter, as ``PhasedTrainingHook`` needs them.

    mmengine itself builds them so wherever ``paramwise_cfg`` has an option; here it does so
    without. The patterns of phases may overlap in other ways in each phase, so that a group per
    pattern would not do. mmengine's record of a base rate is left out: with phases there is none.

    Args:
        optim_wrapper_cfg: As in mmengine.
        paramwise_cfg: As in mmengine.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # An option that changes nothing for parameters that are in one place only.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(bypass_duplicate=True))

    def __call__(self, model: nn.Module) -> Any:
        """Build the wrapper."""
        wrapper = super().__call__(model)
        if isinstance(wrapper, OptimWrapper):
            wrapper.base_param_settings = None  # before schedulers take it for another group
        return wrapper

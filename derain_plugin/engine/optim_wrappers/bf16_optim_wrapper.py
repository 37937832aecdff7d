"""Mixed precision that also runs on CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast, on the device that holds the model.

    mmengine's ``AmpOptimWrapper`` refuses to be built on a CPU. bfloat16 has the exponent range
    of float32, so there is no loss scaling: parameters, gradients, clipping, accumulation and
    the saved state are those of :class:`mmengine.optim.OptimWrapper`, whose arguments it takes.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Add autocast to the gradient accumulation context of ``OptimWrapper``."""
        device_type = next(model.parameters()).device.type
        bf16 = autocast(device_type=device_type, dtype=torch.bfloat16)
        with super().optim_context(model), bf16:
            yield

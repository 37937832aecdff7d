"""Mixed precision in fp16 without a GPU: mmengine's wrapper, torch's autocast and scaler for CPUs.

As a command it is ``tools/train.py --amp`` as on a GPU; docs/survives.md says what came out:

    python tests/fp16_on_cpu.py CONFIG --work-dir DIR --cfg-options key=value

The command computes convolutions as a GPU's tensor cores do, in float32 from operands, and to
results and gradients, that are rounded to fp16: the fp16 kernels that torch has for them on a CPU
take some hundred times as long.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import amp
from torch import Tensor, nn

from derain_plugin.cli import train
from derain_plugin.engine.optim_wrappers import enable_amp

convolve = nn.Conv2d._conv_forward


@contextmanager
def fp16_on_cpu() -> Iterator[None]:
    """Let ``AmpOptimWrapper`` run as on a GPU."""
    scaler = partial(torch.amp.GradScaler, device="cpu")
    with (
        patch.object(amp_optimizer_wrapper, "is_cuda_available", lambda: True),
        patch.object(amp_optimizer_wrapper, "GradScaler", scaler),
        patch.object(amp, "autocast", lambda dtype: torch.autocast("cpu", torch.float16)),
    ):
        yield


def _convolve(layer: nn.Conv2d, *operands: Tensor | None) -> Tensor:
    if not torch.is_autocast_enabled("cpu"):  # as in validation
        return convolve(layer, *operands)
    rounded = (None if each is None else each.half().float() for each in operands)
    with torch.autocast("cpu", enabled=False):
        return convolve(layer, *rounded).half()


def main() -> None:
    """Train as the command line says."""
    chooser = sys.modules[enable_amp.__module__]
    with (
        fp16_on_cpu(),
        patch.object(chooser, "get_device", lambda: "cuda"),
        patch.object(nn.Conv2d, "_conv_forward", _convolve),
    ):
        train.main([*sys.argv[1:], "--amp"])


if __name__ == "__main__":
    main()

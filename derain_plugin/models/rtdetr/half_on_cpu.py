"""What a CPU makes of deformable attention in 16-bit floats."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

LARGEST_OFFSET = 2**15 - 1
"""Of an element that torch's ``grid_sample`` finds in 16-bit floats on a CPU (torch 2.13)."""


class HalfOnCpuWarning:
    """Warns once if torch would sample wrong values from maps of a model in 16-bit floats."""

    def __init__(self) -> None:
        self._has_warned = False

    def __call__(self, maps: Sequence[Tensor], *, channels: int) -> None:
        """Look at what will be sampled.

        Args:
            maps: ``(N, C, H, W)``, of any channels.
            channels: Of the maps that deformable attention samples, which interleaves them.
        """
        if self._has_warned or torch.compiler.is_compiling():  # warnings are no part of a graph
            return
        if torch.is_autocast_enabled(maps[0].device.type):
            return
        is_half = maps[0].dtype in (torch.float16, torch.bfloat16)
        offset = (max(item[0, 0].numel() for item in maps) - 1) * channels
        if is_half and maps[0].device.type == "cpu" and offset > LARGEST_OFFSET:
            self._has_warned = True
            name = str(maps[0].dtype).removeprefix("torch.")
            warnings.warn(
                f"on a CPU, torch's grid_sample reads wrong values in {name} from maps of this "
                "size, so that boxes may be NaN or wrong. Keep the model in float32 and use "
                "with torch.autocast('cpu', dtype=torch.bfloat16) for speed, or use a GPU",
                RuntimeWarning,
                stacklevel=3,
            )

"""Refine one pyramid level without looking for rain."""

import torch
from torch import Tensor, nn

from derain_plugin.models.layers.bottleneck_width import bottleneck_width
from derain_plugin.models.layers.plain_residual_block import PlainResidualBlock


class PlainRefineBlock(nn.Module):
    """``x + expand(refine(reduce(x)))``: :class:`FeatureDerainBlock` without mask and CBAM.

    ``expand`` starts at zero, so a fresh block is the identity.

    Args:
        channels: Channels ``C`` of the level.
        num_residual_blocks: Residual blocks of plain convolutions on the reduced map.
        reduction: The reduced map has ``C / reduction`` channels, rounded up to a multiple of 8.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: the refined map, shape and dtype of the input, and in the place of a rain mask
          zeros ``(N, 1, H, W)``: there is none.
    """

    def __init__(self, channels: int, num_residual_blocks: int, *, reduction: int) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction)
        self.reduce = nn.Conv2d(channels, width, 1, bias=False)
        self.refine = nn.Sequential(
            *(PlainResidualBlock(width) for _ in range(num_residual_blocks))
        )
        self.expand = nn.Conv2d(width, channels, 1)
        self.init_weights()

    def init_weights(self) -> None:
        """Close the block; mmengine calls this after any ``init_cfg`` that reached the layers."""
        for gate in self.expand.parameters():
            nn.init.zeros_(gate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the refined map and an empty mask."""
        return x + self.expand(self.refine(self.reduce(x))), torch.zeros_like(x[:, :1])

"""De-rain one early feature map as far as an image-level gate allows."""

import torch
from torch import Tensor, nn

from derain_plugin.models.layers.bottleneck_width import bottleneck_width
from derain_plugin.models.layers.cbam_residual_block import CBAMResidualBlock
from derain_plugin.models.layers.rain_mask import RainMask


class GatedDerainBlock(nn.Module):
    """``x + gate · (clean(x) - x)``, where ``clean`` is what :class:`FeatureDerainBlock` does.

    ``clean(x) = x · (1 - blend · mask) + expand(refine(reduce(x) · (1 - blend · mask)))``. The gate
    is folded into the suppression and into the narrow map that is expanded, since at stride 4
    each pass over all ``C`` channels counts; therefore ``expand`` has no bias. ``blend`` and
    ``expand`` start at zero: a fresh block is the identity, whatever the gate.

    Args:
        channels: Channels ``C`` of the map.
        num_residual_blocks: Residual blocks with CBAM that refine the reduced map.
        reduction: The reduced map has ``C / reduction`` channels, rounded up to a multiple of 8.

    Shape:
        - Input: ``(N, C, H, W)``, and a gate ``(N, 1, 1, 1)``, 0-1.
        - Output: the cleaned map, shape and dtype of the input, and the rain mask
          ``(N, 1, H, W)``, 0-1, which the gate does not change.
    """

    def __init__(self, channels: int, num_residual_blocks: int = 1, *, reduction: int = 8) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction)
        self.reduce = nn.Conv2d(channels, width, 1, bias=False)
        self.mask = RainMask(width)
        self.blend = nn.Parameter(torch.zeros(()))
        self.refine = nn.Sequential(*(CBAMResidualBlock(width) for _ in range(num_residual_blocks)))
        self.expand = nn.Conv2d(width, channels, 1, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Close the block; mmengine calls this after any ``init_cfg`` that reached the layers."""
        nn.init.zeros_(self.blend)
        nn.init.zeros_(self.expand.weight)

    def forward(self, x: Tensor, gate: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """Return the cleaned map and the mask that cleaned it."""
        reduced = self.reduce(x)
        mask = self.mask(reduced).to(x.dtype)
        suppression = self.blend * mask
        refined = self.refine(reduced * (1 - suppression))
        residual = self.expand(gate * refined)
        return torch.addcmul(residual, x, 1 - gate * suppression), mask

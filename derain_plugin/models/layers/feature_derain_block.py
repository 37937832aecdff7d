"""De-rain one pyramid level: mask, suppress, refine."""

import torch
from torch import Tensor, nn

from derain_plugin.models.layers.bottleneck_width import bottleneck_width
from derain_plugin.models.layers.cbam_residual_block import CBAMResidualBlock
from derain_plugin.models.layers.rain_mask import RainMask


class FeatureDerainBlock(nn.Module):
    """``x · (1 - blend · mask) + expand(refine(reduce(x · (1 - blend · mask))))``.

    ``blend`` and ``expand`` start at zero, so a fresh block is the identity and a pretrained
    detector keeps its clean-weather AP at iteration 0. Only three passes touch all ``C``
    channels: ``reduce`` is linear and the gate differs by place only, so they commute, and one
    reduced map serves the mask and the refinement.

    Args:
        channels: Channels ``C`` of the level.
        num_residual_blocks: Residual blocks with CBAM that refine the reduced map.
        reduction: The reduced map has ``C / reduction`` channels, rounded up to a multiple of 8.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: the cleaned map, shape and dtype of the input, and the rain mask
          ``(N, 1, H, W)``, 0-1.

    Example:
        >>> x = torch.randn(2, 64, 5, 7)
        >>> cleaned, mask = FeatureDerainBlock(64)(x)
        >>> torch.equal(cleaned, x), mask.shape
        (True, torch.Size([2, 1, 5, 7]))
    """

    def __init__(self, channels: int, num_residual_blocks: int = 2, *, reduction: int = 4) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction)
        self.reduce = nn.Conv2d(channels, width, 1, bias=False)
        self.mask = RainMask(width)
        self.blend = nn.Parameter(torch.zeros(()))
        self.refine = nn.Sequential(*(CBAMResidualBlock(width) for _ in range(num_residual_blocks)))
        self.expand = nn.Conv2d(width, channels, 1)
        self.init_weights()

    def init_weights(self) -> None:
        """Close the gates; mmengine calls this after any ``init_cfg`` that reached the layers."""
        for gate in (self.blend, *self.expand.parameters()):
            nn.init.zeros_(gate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cleaned map and the mask that cleaned it."""
        reduced = self.reduce(x)
        mask = self.mask(reduced).to(x.dtype)
        keep = 1 - self.blend * mask
        residual = self.expand(self.refine(reduced * keep))
        return torch.addcmul(residual, x, keep), mask

"""Blocks that de-rain one feature map, and one that only refines it, to compare with.

Each is the identity at first: mask, suppress, refine (Woo et al.'s CBAM in :mod:`.cbam`).
"""

from functools import partial

import torch
from torch import Tensor, nn

from derain_plugin.models.layers.cbam import bottleneck_width
from derain_plugin.models.layers.pointwise_conv import PointwiseConv2d
from derain_plugin.models.layers.residual_blocks import CBAMResidualBlock, PlainResidualBlock


class FeatureDerainBlock(nn.Module):
    """``clean(x)``, or with a gate ``x + gate · (clean(x) - x)``.

    ``clean(x) = x · (1 - blend · mask) + expand(refine(reduce(x · (1 - blend · mask))))``.
    ``blend`` and ``expand`` start at zero, so a fresh block is the identity, whatever the gate, and
    a pretrained detector keeps its clean-weather AP at iteration 0. Only three passes touch all
    ``C`` channels: ``reduce`` is linear and the mask the same for all channels, so they commute,
    and one reduced map serves the mask and the refinement.

    Args:
        channels: Channels ``C`` of the level.
        num_residual_blocks: Residual blocks with CBAM that refine the reduced map.
        reduction: The reduced map has ``C / reduction`` channels, rounded up to a multiple of 8.
        gated: Whether ``forward`` may be given a gate. It scales the narrow map before ``expand``
            rather than the wide one after it; therefore ``expand`` then has no bias.

    Shape:
        - Input: ``(N, C, H, W)``, and if gated perhaps a gate ``(N, 1, 1, 1)``, 0-1.
        - Output: the cleaned map, shape and dtype of the input, and the rain mask
          ``(N, 1, H, W)``, 0-1, which the gate does not change.

    Raises:
        ValueError: A gate for a block that is not gated.

    Example:
        >>> x = torch.randn(2, 64, 5, 7)
        >>> cleaned, mask = FeatureDerainBlock(64)(x)
        >>> torch.equal(cleaned, x), mask.shape
        (True, torch.Size([2, 1, 5, 7]))
    """

    def __init__(
        self,
        channels: int,
        num_residual_blocks: int = 2,
        *,
        reduction: int = 4,
        gated: bool = False,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction)
        self.reduce = PointwiseConv2d(channels, width, bias=False)
        self.mask = RainMask(width)
        self.blend = nn.Parameter(torch.zeros(()))
        self.refine = nn.Sequential(*(CBAMResidualBlock(width) for _ in range(num_residual_blocks)))
        self.expand = PointwiseConv2d(width, channels, bias=not gated)
        self.init_weights()

    def init_weights(self) -> None:
        """Start as the identity; mmengine calls this after any ``init_cfg`` for the layers."""
        for parameter in (self.blend, *self.expand.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the cleaned map and the mask that cleaned it."""
        reduced = self.reduce(x)
        mask = self.mask(reduced).to(x.dtype)
        suppression = self.blend * mask
        refined = self.refine(reduced * (1 - suppression))
        if gate is not None:
            if self.expand.bias is not None:
                raise ValueError("this FeatureDerainBlock takes no gate: build it with gated=True")
            suppression, refined = gate * suppression, gate * refined
        return torch.addcmul(self.expand(refined), x, 1 - suppression), mask


GatedDerainBlock = partial(FeatureDerainBlock, num_residual_blocks=1, reduction=8, gated=True)
"""The gated block by its former name, with its former defaults."""


class LightweightDerainBlock(nn.Module):
    """``x - mask · (suppression · x + offset)``, with both learned per channel.

    Where the mask is high a channel loses a share of itself (``suppression``) and the constant
    energy that rain adds to it (``offset``). Both start at zero: a fresh block is the identity.

    Args:
        channels: Channels ``C`` of the level.
        hidden_channels: Channels from which the mask is estimated; even.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: the cleaned map, shape and dtype of the input, and the rain mask
          ``(N, 1, H, W)``, 0-1.
    """

    def __init__(self, channels: int, *, hidden_channels: int = 16) -> None:
        super().__init__()
        self.reduce = PointwiseConv2d(channels, hidden_channels, bias=False)
        self.mask = RainMask(hidden_channels)
        self.suppression = nn.Parameter(torch.zeros(channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(channels, 1, 1))

    def init_weights(self) -> None:
        """Start as the identity; mmengine calls this after any ``init_cfg`` for the layers."""
        nn.init.zeros_(self.suppression)
        nn.init.zeros_(self.offset)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cleaned map and the mask that cleaned it."""
        mask = self.mask(self.reduce(x)).to(x.dtype)
        rain = torch.addcmul(self.offset.to(x.dtype), x, self.suppression.to(x.dtype))
        return torch.addcmul(x, mask, rain, value=-1), mask


class PlainRefineBlock(nn.Module):
    """``x + expand(refine(reduce(x)))``: :class:`FeatureDerainBlock` without mask and CBAM.

    ``expand`` starts at zero, so a fresh block is the identity.

    Args:
        channels: Channels ``C`` of the level.
        num_residual_blocks: Residual blocks of plain convolutions on the reduced map.
        reduction: The reduced map has ``C / reduction`` channels, rounded up to a multiple of 8.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: the refined map, shape and dtype of the input, and instead of a rain mask zeros
          ``(N, 1, H, W)``.
    """

    def __init__(self, channels: int, num_residual_blocks: int, *, reduction: int) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction)
        self.reduce = PointwiseConv2d(channels, width, bias=False)
        self.refine = nn.Sequential(
            *(PlainResidualBlock(width) for _ in range(num_residual_blocks))
        )
        self.expand = PointwiseConv2d(width, channels)
        self.init_weights()

    def init_weights(self) -> None:
        """Start as the identity; mmengine calls this after any ``init_cfg`` for the layers."""
        for parameter in self.expand.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the refined map and an empty mask."""
        return x + self.expand(self.refine(self.reduce(x))), torch.zeros_like(x[:, :1])


class RainMask(nn.Sequential):
    """Estimate how much rain disturbs each position of a feature map.

    A depthwise 3x3 convolution sees each channel's high frequencies, the pointwise ones
    inconsistencies between channels: the two ways in which rain shows in features. SiLU rather
    than ReLU: so few units must not die, or the mask is stuck at one value.

    Args:
        channels: Channels ``C`` of the (narrow) input.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, 1, H, W)``, 0-1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.SiLU(),
            PointwiseConv2d(channels, channels // 2),
            nn.SiLU(),
            PointwiseConv2d(channels // 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the mask."""
        return super().forward(x)


def check_block_options(num_residual_blocks: int, reduction: int) -> None:
    """Refuse what is no count.

    Raises:
        ValueError: ``num_residual_blocks`` is negative, or ``reduction`` below 1.
    """
    if num_residual_blocks < 0:
        raise ValueError(f"num_residual_blocks must be 0 or more, got {num_residual_blocks}")
    if reduction < 1:
        raise ValueError(f"reduction must be 1 or more, got {reduction}")

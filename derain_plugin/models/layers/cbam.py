"""CBAM: Convolutional Block Attention Module (Woo et al., ECCV 2018, arXiv 1807.06521)."""

import math

import torch
from torch import Tensor, nn

CHANNEL_STEP = 8


class ChannelAttention(nn.Module):
    """Which channels matter: section 3.1, equation 2, ``sigmoid(MLP(avg) + MLP(max))``.

    Args:
        channels: Channels ``C`` of the input.
        reduction: The MLP's hidden layer has ``C / reduction`` units, rounded up to 8.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, 1, 1)``, 0-1.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = bottleneck_width(channels, reduction)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the weight of each channel."""
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))])
        return self.mlp(pooled).sum(0).sigmoid()[..., None, None]


class SpatialAttention(nn.Module):
    """Which positions matter: section 3.1, equation 3, ``sigmoid(conv([avg; max]))``.

    Args:
        kernel_size: Side of the convolution; the paper's best is 7 (table 2).

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, 1, H, W)``, 0-1.
    """

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weight of each position."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return self.conv(pooled).sigmoid()


class CBAM(nn.Module):
    """Channel attention, then spatial attention: section 3, equation 1.

    Args:
        channels: Channels ``C`` of the input.
        reduction: See :class:`ChannelAttention`.

    Shape:
        - Input and output: ``(N, C, H, W)``.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh channels, then positions."""
        x = x * self.channel(x)
        return x * self.spatial(x)


def bottleneck_width(channels: int, reduction: int) -> int:
    """Return ``channels / reduction`` rounded up to a multiple of 8, so never below 8.

    Rounding up keeps every channel count legal (3, 50, 255, ...) and small layers alive, and
    multiples of 8 are what vectorised convolutions like.

    >>> bottleneck_width(256, 4), bottleneck_width(50, 4), bottleneck_width(3, 4)
    (64, 16, 8)
    """
    return CHANNEL_STEP * math.ceil(channels / (CHANNEL_STEP * reduction))

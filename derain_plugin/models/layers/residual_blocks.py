"""Cheap residual blocks at one width: plain convolutions, with CBAM or without."""

from torch import Tensor, nn

from derain_plugin.models.layers.cbam import CBAM
from derain_plugin.models.layers.pointwise_conv import PointwiseConv2d


class PlainResidualBlock(nn.Module):
    """``x + pointwise(SiLU(depthwise(norm(x))))``.

    The depthwise separable convolution is MobileNet's (arXiv 1704.04861). One-group GroupNorm makes
    the block indifferent to how large a backbone's features are. Unlike BatchNorm it keeps the
    samples of a mixed rainy and clean batch apart, and training and evaluation alike.

    Args:
        channels: Channels ``C`` of input and output.

    Shape:
        - Input and output: ``(N, C, H, W)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.SiLU(),
            PointwiseConv2d(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x``."""
        return x + self.branch(x)


class CBAMResidualBlock(PlainResidualBlock):
    """``x + CBAM(pointwise(SiLU(depthwise(norm(x)))))``.

    CBAM sits at the end of the residual branch, as in the paper's figure 3.

    Args:
        channels: Channels ``C`` of input and output.

    Shape:
        - Input and output: ``(N, C, H, W)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.branch.append(CBAM(channels))

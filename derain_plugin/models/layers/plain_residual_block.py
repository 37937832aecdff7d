"""A cheap residual block of plain convolutions."""

from torch import Tensor, nn


class PlainResidualBlock(nn.Module):
    """``x + pointwise(SiLU(depthwise(norm(x))))``: :class:`CBAMResidualBlock` without its CBAM.

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
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x``."""
        return x + self.branch(x)

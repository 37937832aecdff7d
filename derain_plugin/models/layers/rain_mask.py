"""Where the rain is, judged from narrow features."""

from torch import Tensor, nn


class RainMask(nn.Sequential):
    """Estimate how much rain disturbs each place of a feature map.

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
            nn.Conv2d(channels, channels // 2, 1),
            nn.SiLU(),
            nn.Conv2d(channels // 2, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the mask."""
        return super().forward(x)

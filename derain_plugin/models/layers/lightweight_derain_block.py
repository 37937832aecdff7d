"""De-rain one pyramid level with a mask and two numbers per channel."""

import torch
from torch import Tensor, nn

from derain_plugin.models.layers.rain_mask import RainMask


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
        self.reduce = nn.Conv2d(channels, hidden_channels, 1, bias=False)
        self.mask = RainMask(hidden_channels)
        self.suppression = nn.Parameter(torch.zeros(channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(channels, 1, 1))

    def init_weights(self) -> None:
        """Close the gates; mmengine calls this after any ``init_cfg`` that reached the layers."""
        nn.init.zeros_(self.suppression)
        nn.init.zeros_(self.offset)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cleaned map and the mask that cleaned it."""
        mask = self.mask(self.reduce(x)).to(x.dtype)
        rain = torch.addcmul(self.offset.to(x.dtype), x, self.suppression.to(x.dtype))
        return torch.addcmul(x, mask, rain, value=-1), mask

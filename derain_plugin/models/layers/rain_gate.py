"""Classify an image as rainy or clean by one early feature map; this project's own design."""

import torch
from torch import Tensor, nn

from derain_plugin.models.layers.pointwise_conv import PointwiseConv2d

START_LOGIT = 1.0  # a gate of 0.73: open enough for gradients to flow
SMALLEST = 1e-6  # statistics below it, as of an empty image, count as equal


class RainGate(nn.Module):
    """Judge a whole image by how much fine detail its features have, and of what kind.

    Rain covers an image with thin, dense streaks. A depthwise high-pass on a narrow map responds
    to them; the statistics of its response over the map say how strong and how sparse the detail
    is, against the contrast of the map itself. Their logarithms make the judgement one of ratios,
    whatever the scale of the features. A small MLP weighs them; its last layer starts at zero, so
    that every image starts with the same gate.

    Args:
        channels: Channels ``C`` of the map.
        width: Channels of the narrow map.
        hidden: Units of the MLP.

    Shape:
        - Input: ``(N, C, H, W)``, ``H`` and ``W`` at least 3.
        - Output: ``(N,)``, the logit of the gate, float32 under autocast too: its sigmoid is near 1
          in rain.
    """

    def __init__(self, channels: int, *, width: int = 8, hidden: int = 16) -> None:
        super().__init__()
        self.reduce = PointwiseConv2d(channels, width, bias=False)
        self.detail = nn.Conv2d(width, width, 3, stride=2, groups=width, bias=False)
        self.judge = nn.Sequential(nn.Linear(3 * width, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        self.init_weights()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Make ``detail`` a high-pass and the gate the same for all."""
        self.detail.weight -= self.detail.weight.mean((2, 3), keepdim=True)
        *_, weight, bias = self.judge.parameters()
        nn.init.zeros_(weight)
        nn.init.constant_(bias, START_LOGIT)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit of each image."""
        reduced = self.reduce(x).to(self.detail.weight.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return self._judged(reduced)

    def _judged(self, reduced: Tensor) -> Tensor:
        detail = self.detail(reduced)
        # Not var(): on a CPU it takes ten times as long.
        contrast = _mean(reduced.square()) - _mean(reduced).square()
        statistics = [contrast.clamp(min=0), _mean(detail.square()), _mean(detail.abs())]
        return self.judge((torch.cat(statistics, 1) + SMALLEST).log()).squeeze(1)


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))

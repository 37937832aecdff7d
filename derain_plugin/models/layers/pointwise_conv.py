"""A 1 x 1 convolution in little time on CPUs, too."""

import torch
from torch import Tensor, nn


class PointwiseConv2d(nn.Conv2d):
    """A 1 x 1 convolution that an eager CPU computes as a matrix product.

    For maps in PyTorch's plain order, ``N, C, H, W``, torch's convolution on CPUs goes through an
    order of its own and back, which takes longer than the product. Everywhere else, in
    ``channels_last`` and in compiled and exported graphs it is the convolution, which inference
    engines know how to fuse and to quantise.

    Args:
        in_channels: Channels ``C`` of the input.
        out_channels: Of the output.
        bias: Whether there is one.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, out_channels, H, W)``.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x``."""
        if x.device.type != "cpu" or not x.is_contiguous() or torch.compiler.is_compiling():
            return super().forward(x)
        weight = self.weight.flatten(1).expand(len(x), -1, -1)
        pixels = x.flatten(2)
        if self.bias is None:
            return torch.bmm(weight, pixels).unflatten(2, x.shape[2:])
        return torch.baddbmm(self.bias[:, None], weight, pixels).unflatten(2, x.shape[2:])

"""The parts of SPDNet (Yi et al., ICCV 2021, https://arxiv.org/abs/2108.09079).

The Haar wavelet transform has one level, as PyWavelets' ``zero`` mode does it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle


class ConvReLU(nn.Sequential):
    """A 3x3 convolution of the reflection-padded input, and ReLU; keeps the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect")
        super().__init__(conv, nn.ReLU())


class SEResBlock(nn.Module):
    """Two convolutions whose channels are weighted by squeeze-and-excitation, and a skip.

    Squeeze-and-excitation after https://arxiv.org/abs/1709.01507, without reduction and bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(_conv(channels), nn.ReLU(), _conv(channels), nn.ReLU())
        self.excite = nn.Sequential(
            nn.Linear(channels, channels, bias=False),
            nn.ReLU(),
            nn.Linear(channels, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, ``(N, C, H, W)``."""
        update = self.convs(features)
        weights = self.excite(update.mean((-2, -1)))
        return features + update * weights[..., None, None]


class ResidualGroup(nn.Module):
    """Residual-in-residual: ``num_blocks`` SE blocks and a convolution under one skip."""

    def __init__(self, channels: int, *, num_blocks: int) -> None:
        super().__init__()
        blocks = [SEResBlock(channels) for _ in range(num_blocks)]
        self.body = nn.Sequential(*blocks, _conv(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return non-negative features of the same shape, ``(N, C, H, W)``."""
        return torch.relu(features + self.body(features))


class InteractiveFusion(nn.Module):
    """Let image and prior show each other where structure is (the paper's IFM).

    Where the two agree a common gate opens. Image and prior are then each mixed with their
    gated selves by two maps that are learned from both, and merged.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.image_query = _conv(channels)
        self.prior_key = _conv(channels)
        self.image_mix = _conv(2 * channels, 2)
        self.prior_mix = _conv(2 * channels, 2)
        self.merge = ConvReLU(2 * channels, channels)

    def forward(self, image: Tensor, prior: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` from two of that shape."""
        gate = torch.sigmoid(self.image_query(image) * self.prior_key(prior))
        mixed = _mix(image, gate, by=self.image_mix), _mix(prior, gate, by=self.prior_mix)
        return self.merge(torch.cat(mixed, 1))


class LevelFusion(nn.Module):
    """Add a coarser level's features to those of a finer one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.upsample = nn.ConvTranspose2d(channels, channels, 3, stride=2)
        self.refine = SEResBlock(channels)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return features of the shape of ``fine``, ``(N, C, H, W)``."""
        upsampled = torch.relu(self.upsample(self.pad(coarse)))
        return torch.relu(self.refine(fine + interpolate(upsampled, size=fine.shape[-2:])))


class WaveletPyramid(nn.Module):
    """Clean features at three scales, between Haar transforms (the paper's WMLM)."""

    def __init__(self, channels: int, *, num_blocks: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(ConvReLU(4 * channels, channels) for _ in range(2))
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualGroup(channels, num_blocks=num_blocks) for _ in range(3)))
            for _ in range(3)
        )
        self.up = nn.ModuleList(ConvReLU(channels, 4 * channels) for _ in range(2))
        self.fuse = nn.ModuleList(LevelFusion(channels) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, ``(N, C, H, W)``."""
        pyramid = [features]
        for down in self.down:
            bands = haar_bands(pyramid[-1])[:, :, [1, 2, 3, 0]]  # details first
            pyramid.append(down(bands.transpose(1, 2).flatten(1, 2)))
        fine, middle, coarse = (level(x) for level, x in zip(self.levels, pyramid, strict=True))
        middle = self._rise(0, middle, coarse)
        return self._rise(1, fine, middle)

    def _rise(self, step: int, fine: Tensor, coarse: Tensor) -> Tensor:
        bands = self.up[step](coarse).unflatten(1, (-1, 4))
        return self.fuse[step](fine, from_haar_bands(bands))


def haar_bands(features: Tensor) -> Tensor:
    """Split features into four bands of half their size.

    An odd height or width is made even by zeros at its end.

    Args:
        features: ``(N, C, H, W)``.

    Returns:
        ``(N, C, 4, ceil(H / 2), ceil(W / 2))``: LL (means), LH (detail along the height), HL
        (detail along the width), HH (both). Orthonormal: the sum of squares stays.

    Example:
        >>> haar_bands(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
        [5.0, -2.0, -1.0, 0.0]
    """
    height, width = features.shape[-2:]
    even = pad(features, (0, width % 2, 0, height % 2))
    return _butterfly(pixel_unshuffle(even, 2).unflatten(1, (-1, 4)))


def from_haar_bands(bands: Tensor) -> Tensor:
    """Undo :func:`haar_bands`; the zeros that made an odd size even stay.

    Args:
        bands: ``(N, C, 4, h, w)``, in the order of :func:`haar_bands`.

    Returns:
        ``(N, C, 2 h, 2 w)``.
    """
    return pixel_shuffle(_butterfly(bands).flatten(1, 2), 2)


def _butterfly(quads: Tensor) -> Tensor:
    """Multiply dimension 2 by Haar's 4x4 matrix, which is its own inverse."""
    a, b, c, d = quads.unbind(2)
    return torch.stack((a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d), 2) / 2


def _conv(in_channels: int, out_channels: int | None = None) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels or in_channels, 3, padding=1)


def _mix(features: Tensor, gate: Tensor, *, by: nn.Module) -> Tensor:
    gated = features * gate
    maps = by(torch.cat((features, gated), 1))  # (N, 2, H, W)
    return features * maps[:, :1] + gated * maps[:, 1:]

"""The two-dimensional Haar wavelet transform, one level, as PyWavelets' ``zero`` mode does it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle


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


def from_haar_bands(bands: Tensor, *, size: Sequence[int]) -> Tensor:
    """Undo :func:`haar_bands`.

    Args:
        bands: ``(N, C, 4, h, w)``, in the order of :func:`haar_bands`.
        size: Height and width to crop to: up to ``(2 h, 2 w)``.

    Returns:
        ``(N, C, *size)``.
    """
    height, width = size
    return pixel_shuffle(_butterfly(bands).flatten(1, 2), 2)[..., :height, :width]


def _butterfly(quads: Tensor) -> Tensor:
    """Multiply dimension 2 by Haar's 4x4 matrix, which is its own inverse."""
    a, b, c, d = quads.unbind(2)
    return torch.stack((a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d), 2) / 2

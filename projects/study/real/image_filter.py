"""An image-adaptive filter in front of a detector."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from derain_plugin.models.layers.valid_area import clean_valid_area

THUMBNAIL = 64  # px
WINDOW = 15  # px, of the dark channel
LEVELS = 255.0


class ImageFilter(nn.Module):
    """Correct haze, gamma, contrast and sharpness of each image, as its thumbnail asks for.

    After Image-Adaptive YOLO (Liu et al., AAAI 2022, https://arxiv.org/abs/2112.08088): a small
    network predicts the strengths of filters through which gradients pass. Here there are four,
    in this order: the haze of the dark channel (He et al., CVPR 2009) is taken away, then gamma,
    contrast around the image's mean, and an unsharp mask. A strength of 0 changes nothing, and a
    fresh filter, whose last layer is zero, is bitwise the identity.

    Args:
        width: Channels of the network.

    Shape:
        - Input: ``(N, 3, H, W)``, 0-255.
        - Output: the same.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        channels = (3, width // 2, width, width, width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
        self.look = nn.Sequential(*layers)
        self.strengths = nn.Linear(width, 4)
        nn.init.zeros_(self.strengths.weight)
        nn.init.zeros_(self.strengths.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Correct the images."""
        thumbnails = F.interpolate(images, (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True)
        seen = self.look(thumbnails / LEVELS - 0.5).mean((2, 3))
        strengths = self.strengths(seen).tanh()[..., None, None, None].unbind(1)
        level = images / LEVELS
        change = correct(level, *strengths) - level
        return images + LEVELS * change


def correct(image: Tensor, haze: Tensor, gamma: Tensor, contrast: Tensor, sharp: Tensor) -> Tensor:
    """Return images ``(N, 3, H, W)``, 0-1, by strengths ``(N, 1, 1, 1)`` of -1 to 1."""
    image = defog(image, haze).clamp(0, 1)
    tiny = torch.finfo(image.dtype).tiny  # the gradient of a power is not finite at 0
    image = image.clamp(min=tiny).pow((math.log(2.5) * gamma).exp()).where(image > 0, image)
    image = image + contrast * (image - image.mean((1, 2, 3), keepdim=True))
    blurred = F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return (image + sharp * (image - blurred)).clamp(0, 1)


def defog(image: Tensor, strength: Tensor) -> Tensor:
    """Take the share ``strength`` of the haze of the dark channel away; below 0 it is added."""
    with torch.no_grad():
        darkest = image.amin(1, keepdim=True)
        dark = -F.max_pool2d(-darkest, WINDOW, stride=1, padding=WINDOW // 2)
        hazy = dark.flatten(1) >= dark.flatten(1).quantile(0.99, dim=1, keepdim=True)
        light = (image.flatten(2) * hazy[:, None]).sum(2) / hazy.sum(1)[:, None]
        light = light.clamp(min=0.05)[..., None, None]
        share = (dark / light.amax(1, keepdim=True)).clamp(0, 0.95)
    transmission = 1 - strength * share
    return image + (image - light) * (1 / transmission - 1)


def put_in_front(corrected: Callable[[Tensor], Tensor], backbone: nn.Module) -> None:
    """Let a filter or restorer change the images before a backbone sees them, but no padding."""

    def block(images: Tensor) -> tuple[Tensor, Tensor]:
        return corrected(images), torch.zeros_like(images[:, :1])

    def clean(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (clean_valid_area(block, arguments[0])[0], *arguments[1:])

    backbone.register_forward_pre_hook(clean)

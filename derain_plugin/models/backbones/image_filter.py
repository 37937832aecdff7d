"""A filter in front of a backbone that corrects each image as a glance at it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from derain_plugin.models.layers.valid_area import change_valid_area
from derain_plugin.models.loading import keep_when_missing

CELL = 4  # px, side of the cells of the small image that haze is found in
PATCH = 5  # cells, of the dark channel
LEVELS = 255.0
SHARPNESS_OF_LIGHT = 50.0  # of the softmax by which the haziest cells give the colour of the haze
MOST_HAZE = 0.95  # so that transmission stays above 0
NAME = "image_filter"  # of the filter in a backbone


@MODELS.register_module()
class ImageFilter(nn.Module):
    """Correct haze and contrast of each image, as its small copy asks for.

    After Image-Adaptive YOLO (Liu et al., AAAI 2022, https://arxiv.org/abs/2112.08088): a small
    network predicts the strengths of filters through which gradients pass. Here there are two, in
    this order:

    - the haze of the dark channel (He et al., CVPR 2009, equations 8, 12 and 16) is taken away:
      ``J = A + (I - A) / (1 - haze * dark / A)``;
    - contrast: ``J + contrast * (J - mean)``.

    Dark channel, colour of the haze and mean are those of a copy whose pixels are means of 4 x 4,
    and both corrections are one step, so that all is four passes over the image. A strength of 0
    changes nothing, and a fresh filter, whose last layer is zero, is bitwise the identity.

    Args:
        mean: Of the normalisation that the images have had, per channel, of values 0-255.
        std: Likewise; what the detector gets is ``(image - mean) / std``.
        width: Channels of the network.

    Attributes:
        settings: ``type`` and arguments, as a config has them.

    Raises:
        ValueError: ``mean`` or ``std`` is not one number or three, or a ``std`` is not above 0.

    Shape:
        - Input: ``(N, 3, H, W)``, RGB or BGR, normalised.
        - Output: likewise. What haze and contrast push below black or above white stays there.
    """

    def __init__(
        self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,), width: int = 32
    ) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, 3) or (name == "std" and min(values) <= 0):
                raise ValueError(
                    f"{name} must be one number or one per channel"
                    f"{', above 0' if name == 'std' else ''}, got {tuple(values)}"
                )
        self.settings: dict[str, Any] = dict(
            type=ImageFilter.__name__, mean=list(mean), std=list(std), width=width
        )
        channels = (3, width // 2, width, width, width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
        self.look = nn.Sequential(*layers)
        self.strengths = nn.Linear(width, 2)
        nn.init.zeros_(self.strengths.weight)
        nn.init.zeros_(self.strengths.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Correct the images, but no padding that :func:`valid_area` notes."""
        return change_valid_area(self.correct, images)

    def correct(self, images: Tensor) -> Tensor:
        """Correct the images, padding and all."""
        small = F.avg_pool2d(images, CELL, ceil_mode=True, count_include_pad=False)
        # No buffers: transformers leaves those that are not saved without values.
        mean, std = (small.new_tensor(self.settings[name]) / LEVELS for name in ("mean", "std"))
        mean, std = mean[:, None, None], std[:, None, None]
        small = small * std + mean
        haze, contrast = self.look_at(small)
        gain, light = find_haze(small, haze)
        middle = (small + (small - light) * gain).mean((1, 2, 3), keepdim=True)
        shift = contrast * (light - middle) / std
        gain = gain + contrast + contrast * gain  # of both together, away from the light
        gain = F.interpolate(gain, images.shape[-2:], mode="bilinear")
        away = images - (light - mean) / std
        return away.mul_(gain).add_(images).add_(shift)  # new memory costs more than a pass

    def look_at(self, small: Tensor) -> tuple[Tensor, ...]:
        """Return the strengths of haze and contrast, -1 to 1, ``(N, 1, 1, 1)`` each."""
        seen = self.look(F.avg_pool2d(small, 2, ceil_mode=True) - 0.5).mean((2, 3))
        return self.strengths(seen).tanh()[..., None, None, None].unbind(1)


def find_haze(small: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far a pixel is pushed away from the colour of the haze, and this colour.

    Args:
        small: ``(N, 3, H, W)``, 0-1.
        strength: Of the correction, ``(N, 1, 1, 1)``.

    Returns:
        ``(N, 1, H, W)``, 0 where nothing changes, and ``(N, 3, 1, 1)``.
    """
    with torch.no_grad():
        darkest = -small.amin(1, keepdim=True)
        dark = -F.max_pool2d(darkest, PATCH, stride=1, padding=PATCH // 2)
        weight = (SHARPNESS_OF_LIGHT * dark).flatten(2).softmax(2)
        light = (small.flatten(2) * weight).sum(2)[..., None, None].clamp(min=0.05)
        share = (dark / light.amax(1, keepdim=True)).clamp(0, MOST_HAZE)
    return 1 / (1 - strength * share) - 1, light


@MODELS.register_module(name="FilteredBackbone")
def add_image_filter(backbone: dict | nn.Module, image_filter: dict | nn.Module) -> nn.Module:
    """Put a filter in front of a backbone, which stays what it is, a ``ResNet`` for instance.

    It is a forward pre-hook and one more child, ``image_filter``. So the backbone keeps its own
    names in the state dict, its vanilla checkpoints load as they are, and with a fresh filter it is
    bitwise the vanilla backbone. In a config::

        model = dict(
            backbone=dict(
                _delete_=True,
                type='FilteredBackbone',
                backbone={{_base_.model.backbone}},
                image_filter=dict(type='ImageFilter', mean=[123.675, 116.28, 103.53],
                                  std=[58.395, 57.12, 57.375])))

    Args:
        backbone: Config of a backbone, or the module, which changes.
        image_filter: Config of an :class:`ImageFilter`, with ``mean`` and ``std`` of the detector's
            data preprocessor, or the filter itself.

    Returns:
        The backbone. :func:`remove_image_filter` takes the filter out.

    Raises:
        ValueError: It has a filter already.
    """
    module: Any = backbone if isinstance(backbone, nn.Module) else MODELS.build(backbone)
    if hasattr(module, NAME):
        raise ValueError(f"this {type(module).__name__} has an {NAME} already")
    given: Any = image_filter
    built = given if isinstance(given, nn.Module) else MODELS.build(given)
    module.image_filter = built.to(next(module.parameters()))
    module.image_filter_handles = [
        keep_when_missing(module, NAME),
        module.register_forward_pre_hook(_filter_images),
    ]
    return module


def _filter_images(backbone: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    images, *others = arguments
    return backbone.image_filter(images), *others


def remove_image_filter(backbone: nn.Module) -> nn.Module:
    """Take the filter of :func:`add_image_filter` out, so that the backbone is what it was.

    Returns:
        The filter, which can be put in again.
    """
    module: Any = backbone
    for handle in module.image_filter_handles:
        handle.remove()
    image_filter: nn.Module = module.image_filter
    del module.image_filter, module.image_filter_handles
    return image_filter

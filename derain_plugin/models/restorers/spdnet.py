"""SPDNet, the pixel-level rival: a network that removes rain from the image itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from derain_plugin.models.loading import keys_of_other_shape, require_fit
from derain_plugin.models.restorers.spdnet_blocks import (
    ConvReLU,
    InteractiveFusion,
    ResidualGroup,
    WaveletPyramid,
)

NUM_STAGES = 3
COLOURS = 3
MIN_SIDE = 6  # px
OLDEST_FIRST_NAMES = {"gather": "aggregate_in", "summarise": "aggregate_out"}
"""Layers that take joined features: their names while the oldest came first, and since then."""
ALIVE = 1e-5  # a ReLU of exactly 0 would pass no gradient


@MODELS.register_module()
class SPDNet(BaseModule):
    """Structure-preserving de-raining with residue channel prior guidance.

    Written from the paper (Yi et al., ICCV 2021, https://arxiv.org/abs/2108.09079). The residue
    channel (largest minus smallest colour channel) shows structure and hardly any rain, which is
    grey. Three stages predict the clean image: the first under the guidance of the rainy
    image's residue channel, the others of that of the stage before, which is cleaner.

    Where features of several stages are concatenated, the newest come first, as in the authors'
    network. Here they once came last: checkpoints of that layout are refused.

    Args:
        n_feats: Channels of all features; even.
        num_blocks: Squeeze-and-excitation blocks in each residual group.
        scale: Images are divided by it on the way in and multiplied on the way out. The
            authors' weights compute in grey levels, 1; at 255, so in 0-1, Adam leaps less. A
            checkpoint of another scale is refused.
        identity: Whether a fresh network returns each image within 0.1 grey levels, instead of
            noise that it first has to learn images from: for brief trainings. Weights that are
            loaded replace it.
        init_cfg: As in :class:`mmengine.model.BaseModule`; a ``Pretrained`` checkpoint must
            fill the network.

    Shape:
        - Input: ``(N, 3, H, W)``, RGB, float, 0-255; both sides at least 6 px.
        - Output: three of that shape: of the third (final), the second and the first stage. Not
          clamped.

    Raises:
        ValueError: If ``n_feats``, ``num_blocks`` or ``scale`` cannot be, an image is of another
            shape, or a checkpoint does not fill the network or is of the old layout.

    Example:
        >>> network = SPDNet(n_feats=4, num_blocks=1)
        >>> [tuple(image.shape) for image in network(torch.rand(1, 3, 21, 30) * 255)]
        [(1, 3, 21, 30), (1, 3, 21, 30), (1, 3, 21, 30)]
    """

    def __init__(
        self,
        n_feats: int = 32,
        num_blocks: int = 3,
        *,
        scale: float = 1.0,
        identity: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if n_feats < 2 or n_feats % 2:
            raise ValueError(f"n_feats must be even and at least 2, got {n_feats}")
        if num_blocks < 1:
            raise ValueError(f"num_blocks must be at least 1, got {num_blocks}")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be above 0 and finite, such as 1 or 255, got {scale}")
        if identity and n_feats < 2 * COLOURS:
            raise ValueError(f"identity=True needs n_feats of at least 6, got {n_feats}")
        # In checkpoints of all but the authors' scale: with another, these weights see nothing.
        self.register_buffer("scale", torch.tensor(float(scale)), persistent=scale != 1)
        self.stem = _stem(n_feats)
        self.stages = nn.ModuleList(
            _Stage(n_feats, num_blocks=num_blocks, num_earlier=index) for index in range(NUM_STAGES)
        )
        if identity:
            start_as_identity(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict the clean images: final, second stage, first stage."""
        _check_images(images)
        scaled = images / self.scale
        stem = self.stem(scaled)
        features: list[Tensor] = []
        predicted = [scaled]
        for stage in self.stages:
            newest, image = stage(stem, features, predicted[-1])
            features.insert(0, newest)
            predicted.append(image)
        first, second, final = (image * self.scale for image in predicted[1:])
        return final, second, first

    def restore(self, images: Tensor) -> Tensor:
        """Return the final prediction alone, ``(N, 3, H, W)``: what every restorer offers."""
        return self(images)[0]

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # mmengine loads `Pretrained` weights without strictness: what does not fit would only be
        # logged, and the images be those of a random network.
        trained, scale = float(state_dict.get(f"{prefix}scale", 1)), float(self.scale)
        if trained != scale:
            raise ValueError(
                f"the checkpoint is of an SPDNet with scale={trained:g}, but this one has "
                f"scale={scale:g}: give it the scale that it was trained with"
            )
        _refuse_oldest_first(state_dict, prefix)
        own = {prefix + name: tensor for name, tensor in self.state_dict().items()}
        require_fit(
            "the checkpoint does not fill this SPDNet",
            "Convert the authors' with tools/convert_spdnet.py; n_feats and num_blocks must be "
            "those it was trained with",
            missing=[name for name in own if name not in state_dict],
            other_shape=keys_of_other_shape(own, state_dict),
        )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class _Stage(nn.Module):
    """One prediction, from the stem's features, those of earlier stages, and an image to guide.

    Features of earlier stages come newest first.
    """

    def __init__(self, channels: int, *, num_blocks: int, num_earlier: int) -> None:
        super().__init__()
        sources = (num_earlier + 1) * channels
        self.prior = nn.Sequential(_stem(channels), ResidualGroup(channels, num_blocks=num_blocks))
        # Their names tell checkpoints of this order from older ones, see OLDEST_FIRST_NAMES.
        self.aggregate_in = ConvReLU(sources, channels) if num_earlier else nn.Identity()
        self.interact = InteractiveFusion(channels)
        self.pyramid = WaveletPyramid(channels, num_blocks=num_blocks)
        self.aggregate_out = ConvReLU(sources, channels) if num_earlier else nn.Identity()
        self.predict = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, stem: Tensor, earlier: list[Tensor], guide: Tensor) -> tuple[Tensor, Tensor]:
        """Return this stage's features, and its image."""
        prior = self.prior(residue_channel(guide).expand(-1, 3, -1, -1))
        inputs = self.aggregate_in(torch.cat([*earlier, stem], 1))
        features = self.pyramid(self.interact(inputs, prior))
        return features, self.predict(self.aggregate_out(torch.cat([features, *earlier], 1)))


def _refuse_oldest_first(state_dict: Mapping[str, Tensor], prefix: str) -> None:
    old = [f"{prefix}stages.1.{name}.0.weight" for name in OLDEST_FIRST_NAMES]
    found = [name for name in old if name in state_dict]
    if found:
        raise ValueError(
            f"the checkpoint has {found[0]}: it is of an SPDNet as it was here before, which "
            "joined features of several stages oldest first. This one joins them newest first, "
            "as the authors' does. Rewrite it with `python tools/convert_spdnet.py OLD.pth "
            "NEW.pth`"
        )


def residue_channel(images: Tensor) -> Tensor:
    """Return the largest minus the smallest channel, ``(N, 1, H, W)`` of ``(N, 3, H, W)``."""
    return images.amax(1, keepdim=True) - images.amin(1, keepdim=True)


def _stem(channels: int) -> nn.Sequential:
    return nn.Sequential(ConvReLU(3, channels // 2), ConvReLU(channels // 2, channels))


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < MIN_SIDE:
        raise ValueError(
            f"SPDNet takes RGB images (N, 3, H, W) of at least {MIN_SIDE} px on each side, got "
            f"{tuple(images.shape)}"
        )


@torch.no_grad()
def start_as_identity(network: Any) -> None:
    """Let the first three channels of an ``SPDNet``'s features carry the image's colours.

    Without a skip from input to output a fresh SPDNet first has to learn the image itself: in a
    brief training on a CPU it gets no further than grey, blurred ones. Only what writes to the
    first three channels is set; all else keeps its random weights, and every weight its gradient.
    """
    for layer in network.stem:
        _pass_on(layer[0])
    for index, stage in enumerate(network.stages):
        if index:
            _pass_on(stage.aggregate_in[0])
            _pass_on(stage.aggregate_out[0])
        _fuse_nothing(stage.interact)
        _clean_nothing(stage.pyramid)
        _pass_on(stage.predict)


def _pass_on(conv: Any) -> None:
    """Make the first three outputs the first three inputs."""
    height, width = conv.kernel_size
    conv.weight[:COLOURS] = 0
    conv.bias[:COLOURS] = 0
    for colour in range(COLOURS):
        conv.weight[colour, colour, height // 2, width // 2] = 1


def _fuse_nothing(fusion: Any) -> None:
    """Mix the image with nothing, and let no prior in."""
    fusion.image_mix.weight.zero_()
    fusion.image_mix.bias.copy_(torch.tensor([1.0, 0.0]))
    _pass_on(fusion.merge[0])


def _clean_nothing(pyramid: Any) -> None:
    for group in pyramid.levels[0]:
        _close(group.body[-1])
    fuse = pyramid.fuse[1]  # of the finest level
    fuse.upsample.weight[:, :COLOURS] = 0
    fuse.upsample.bias[:COLOURS] = ALIVE
    _close(fuse.refine.convs[2])


def _close(conv: Any) -> None:
    conv.weight[:COLOURS] = 0
    conv.bias[:COLOURS] = ALIVE

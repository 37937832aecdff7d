"""Weights with which an SPDNet starts as the identity."""

from __future__ import annotations

from typing import Any

import torch

COLOURS = 3
ALIVE = 1e-5
"""A ReLU of exactly 0 would pass no gradient."""


@torch.no_grad()
def start_as_identity(network: Any) -> None:
    """Let the first three channels of an ``SPDNet``'s features carry the picture's colours.

    Without a skip from input to output a fresh SPDNet first has to learn the picture itself: in a
    brief training on a CPU it gets no further than grey, blurred ones. Only what writes to the
    first three channels is set; all else keeps its random weights, and every weight its gradient.
    """
    for layer in network.stem:
        _pass_on(layer[0])
    for index, stage in enumerate(network.stages):
        if index:
            newest = index * stage.predict.in_channels  # after those of earlier stages
            _pass_on(stage.gather[0], start=newest)
            _pass_on(stage.summarise[0], start=newest)
        _fuse_nothing(stage.interact)
        _clean_nothing(stage.pyramid)
        _pass_on(stage.predict)


def _pass_on(conv: Any, *, start: int = 0) -> None:
    """Make the first three outputs the inputs from ``start`` on."""
    height, width = conv.kernel_size
    conv.weight[:COLOURS] = 0
    conv.bias[:COLOURS] = 0
    for colour in range(COLOURS):
        conv.weight[colour, start + colour, height // 2, width // 2] = 1


def _fuse_nothing(fusion: Any) -> None:
    """Mix the picture with nothing, and let no prior in."""
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

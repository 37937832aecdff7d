"""Checkpoints of the paper's authors, and our own older ones, as weights of :class:`SPDNet`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from derain_plugin.models.loading import require_fit
from derain_plugin.models.restorers import SPDNet
from derain_plugin.models.restorers.spdnet import OLDEST_FIRST_NAMES

STAGES = LEVELS = BLOCKS = (1, 2, 3)  # the authors count from 1, we from 0
CONTAINERS = ("state_dict", "model", "model_state_dict", "params", "net")
PARALLEL_PREFIX = "module."
OLDEST_FIRST = re.compile(
    rf"(?P<stage>(?:.*\.)?stages\.[12]\.)(?P<name>{'|'.join(OLDEST_FIRST_NAMES)})"
    r"(?P<leaf>\.0\.(?:weight|bias))"
)


def convert_spdnet(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Rename the weights of an official checkpoint, and leave out those that do nothing.

    With them :class:`SPDNet` gives the images of the authors' network, within rounding.

    Args:
        checkpoint: A state dict with the 930 official names, perhaps below one of
            ``CONTAINERS``, perhaps with the ``module.`` of data parallel training before each.

    Returns:
        The state dict of a default :class:`SPDNet`.

    Raises:
        ValueError: Names what is missing, unexpected or of another shape.
    """
    weights = _unwrapped(checkpoint)
    names = official_names()
    _require_official(weights, names)
    _warn_of_other_wavelet(weights)
    return {ours: weights[theirs] for theirs, ours in names.items() if ours is not None}


def is_oldest_first(checkpoint: Mapping[str, Any]) -> bool:
    """Tell whether an SPDNet of the old layout is among the weights of one of our checkpoints."""
    return any(map(OLDEST_FIRST.fullmatch, _own_weights(checkpoint)))


def convert_oldest_first(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Bring weights that were made here to the order of the authors: newest features first.

    What was trained here restores as it did: its convolutions take their inputs in the new order.
    A file that ``tools/convert_spdnet.py`` wrote in the old layout has the authors' weights as
    they were, which gave wrong images: it needs the new names alone.

    Args:
        checkpoint: A state dict, perhaps below ``"state_dict"``, of an SPDNet or of a model that
            has one.

    Returns:
        A checkpoint of its weights and ``meta``, without what resuming needs: the optimizer's
        state, too, is in the old order.
    """
    meta = dict(checkpoint.get("meta", {}))
    of_authors = is_of_authors(checkpoint)
    weights = {}
    for key, tensor in _own_weights(checkpoint).items():
        if old := OLDEST_FIRST.fullmatch(key):
            key = old["stage"] + OLDEST_FIRST_NAMES[old["name"]] + old["leaf"]
            tensor = tensor if of_authors else _newest_first(tensor)
        weights[key] = tensor
    return dict(meta=meta, state_dict=weights)


def is_of_authors(checkpoint: Mapping[str, Any]) -> bool:
    """Tell whether ``tools/convert_spdnet.py`` wrote it: a trained one has more in its meta."""
    return {*checkpoint.get("meta", {})} == {"source"}


def _own_weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    return checkpoint.get("state_dict", checkpoint)


def _newest_first(tensor: Tensor) -> Tensor:
    if tensor.ndim == 1:  # a bias
        return tensor
    return tensor.unflatten(1, (-1, tensor.shape[0])).flip(1).flatten(1, 2)


def official_names() -> dict[str, str | None]:
    """Return our name of each official parameter; None: dropped, as nothing depends on it.

    The constants of :func:`haar_kernels` are official names too, but no parameters.
    """
    return {
        f"{theirs}.{leaf}": ours and f"{ours}.{leaf}"
        for theirs, ours in _modules()
        for leaf in (("weight",) if ".se.fc." in theirs else ("weight", "bias"))
    }


def haar_kernels() -> dict[str, Tensor]:
    """Return the constants by which official checkpoints describe the Haar transform."""
    low, high = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
    return {
        f"sub{stage}.{transform}.{kind}{band}_{axis}": values.view(shape)
        for stage in STAGES
        for transform, kind in (("DWT", "h"), ("IDWT", "g"))
        for axis, shape in (("col", (1, 1, 2, 1)), ("row", (1, 1, 1, 2)))
        for band, values in enumerate((low, high))
    }


Names = Iterator[tuple[str, str | None]]


def _modules() -> Names:
    yield from _conv_relu("conv_init1", "stem.0")
    yield from _conv_relu("conv_init2", "stem.1")
    for stage in STAGES:
        ours = f"stages.{stage - 1}"
        yield from _conv_relu(f"res_extra{stage}.conv_init1", f"{ours}.prior.0.0")
        yield from _conv_relu(f"res_extra{stage}.conv_init2", f"{ours}.prior.0.1")
        yield from _group(f"res_extra{stage}.extra", f"{ours}.prior.1")
        yield from _interaction(f"sub{stage}", f"{ours}.interact")
        yield from _pyramid(f"sub{stage}", f"{ours}.pyramid")
        yield f"output{stage}", f"{ours}.predict"
    yield from _conv_relu("ag1", "stages.1.aggregate_in")
    yield from _conv_relu("ag2", "stages.2.aggregate_in")
    yield from _conv_relu("ag2_en", "stages.1.aggregate_out")
    yield from _conv_relu("ag_en", "stages.2.aggregate_out")


def _interaction(theirs: str, ours: str) -> Names:
    yield f"{theirs}.prior.query_conv", f"{ours}.image_query"
    yield f"{theirs}.prior.key_conv", f"{ours}.prior_key"
    yield f"{theirs}.prior.gamma1", f"{ours}.image_mix"
    yield f"{theirs}.prior.gamma2", f"{ours}.prior_mix"
    yield from _conv_relu(f"{theirs}.fuse_res", f"{ours}.merge")


def _pyramid(theirs: str, ours: str) -> Names:
    for level in LEVELS:
        for block in BLOCKS:
            branch = f"{theirs}.branch{level}_{block}"
            yield from _group(branch, f"{ours}.levels.{level - 1}.{block - 1}")
            if block < 3 and level < 3:
                yield from _conv_relu(f"{branch}_d", None)
            if block < 3 and level > 1:
                yield from _upsampling(f"{branch}_u", None)
    # Their transforms and fusions are named by level; ours are in the order of use.
    for level, down, up in ((2, 0, 1), (3, 1, 0)):
        yield from _conv_relu(f"{theirs}.DWT_{level}", f"{ours}.down.{down}")
        yield from _conv_relu(f"{theirs}.IDWT_{level}", f"{ours}.up.{up}")
        yield from _conv_relu(f"{theirs}.down{level}", None)
        fuse = f"{theirs}.fuse{level - 1}{level}"
        yield from _upsampling(f"{fuse}.up", f"{ours}.fuse.{up}.upsample")
        yield from _conv_relu(f"{fuse}.conv", None)
        yield from _se_block(f"{fuse}.rb", f"{ours}.fuse.{up}.refine")


def _group(theirs: str, ours: str) -> Names:
    for index in range(3):
        yield from _se_block(f"{theirs}.module_body.{index}", f"{ours}.body.{index}")
    yield f"{theirs}.module_body.3", f"{ours}.body.3"


def _se_block(theirs: str, ours: str) -> Names:
    for index in (0, 2):
        yield f"{theirs}.module_body.{index}", f"{ours}.convs.{index}"
        yield f"{theirs}.se.fc.{index}", f"{ours}.excite.{index}"


def _conv_relu(theirs: str, ours: str | None) -> Names:
    yield f"{theirs}.conv", ours and f"{ours}.0"
    yield f"{theirs}.ins", None


def _upsampling(theirs: str, ours: str | None) -> Names:
    yield f"{theirs}.conv2d", ours


def _unwrapped(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    for name in CONTAINERS:
        if isinstance(checkpoint.get(name), Mapping):
            checkpoint = checkpoint[name]
            break
    return {name.removeprefix(PARALLEL_PREFIX): weight for name, weight in checkpoint.items()}


def _require_official(weights: Mapping[str, Any], names: Mapping[str, str | None]) -> None:
    kernels, own = haar_kernels(), SPDNet().state_dict()
    shapes = {name: kernel.shape for name, kernel in kernels.items()}
    shapes |= {theirs: own[ours].shape for theirs, ours in names.items() if ours is not None}
    expected = names.keys() | kernels.keys()
    require_fit(
        "this is no checkpoint of the authors' SPDNet",
        "One that tools/convert_spdnet.py wrote, or that was trained here, needs no conversion",
        missing=sorted(expected - weights.keys()),
        unexpected=sorted(weights.keys() - expected),
        other_shape=[
            f"{name} ({tuple(getattr(weights[name], 'shape', ()))} for {tuple(shape)})"
            for name, shape in shapes.items()
            if name in weights and getattr(weights[name], "shape", None) != shape
        ],
    )


def _warn_of_other_wavelet(weights: Mapping[str, Tensor]) -> None:
    other = [
        name
        for name, kernel in haar_kernels().items()
        if not torch.allclose(weights[name].float().cpu(), kernel, atol=1e-3)
    ]
    if other:
        print_log(
            f"the checkpoint's wavelet is not the Haar wavelet of SPDNet ({len(other)} kernels "
            f"differ, {other[0]} first): its weights were trained for another transform",
            logger="current",
            level=logging.WARNING,
        )

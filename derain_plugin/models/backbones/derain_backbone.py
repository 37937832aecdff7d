"""Early de-rain blocks in any backbone, by the names of its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmdet.models.backbones.swin import SwinBlockSequence
from mmdet.models.layers.transformer import nchw_to_nlc, nlc_to_nchw
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from derain_plugin.models.loading import keep_when_missing

DRY_RUN_SIZE = 64  # px


@MODELS.register_module(name="DerainBackbone")
def add_early_derain(
    backbone: dict | nn.Module, early_derain: dict | nn.Module, places: Sequence[str]
) -> nn.Module:
    """Let early de-rain blocks clean what modules of a backbone put out.

    The backbone stays what it is, a ``ResNet`` for instance, with its own names in the state dict;
    the blocks are forward hooks and one more child, ``derain``. So its vanilla checkpoints load as
    they are, and a fresh one is bitwise the vanilla backbone. In a config::

        model = dict(
            backbone=dict(
                _delete_=True,
                type='DerainBackbone',
                backbone={{_base_.model.backbone}},
                early_derain=dict(type='EarlyFeatureDerain'),
                places=('stem', 'stage1')))

    ==================== ================================
    backbone             places after stem and stage 1
    ==================== ================================
    ResNet               ``maxpool``, ``layer1``
    CSPDarknet, CSPNeXt  ``stem``, ``stage1``
    Swin                 ``patch_embed``, ``stages.0``
    ==================== ================================

    Args:
        backbone: Config of a backbone, or the module, which changes. ``RTDETRBackbone`` has its
            own ``early_derain``.
        early_derain: Config of :class:`EarlyFeatureDerain`, or of a type with its interface.
            ``places`` is filled in, and ``stage_channels`` as well unless given: one forward pass
            of a black image finds them. Or the blocks themselves, by the names that
            ``block_name`` gives.
        places: Names of modules in the backbone, each of which runs once and gives one map:
            ``(N, C, H, W)``, or ``(N, H · W, C)`` with its height and width as in Swin and PVT.
            The first to run is also what the gate looks at; beside blocks that are given, they
            are in the order in which they run.

    Returns:
        The backbone, with the blocks as ``derain``. A place's block is named after it, with ``_``
        for dots: ``derain.blocks.stages_0``. :func:`remove_early_derain` takes them out.

    Raises:
        ValueError: A place that the backbone has not, that does not run once, or that gives
            something else; no place or one twice; a backbone that has a ``derain`` already.
    """
    module: Any = backbone if isinstance(backbone, nn.Module) else MODELS.build(backbone)
    refuse_early_derain(module)
    hooked = modules_at(module, places)
    derain: Any = early_derain
    if not isinstance(early_derain, nn.Module):
        channels = early_derain.get("stage_channels") or channels_of(module, hooked)
        if set(channels) != set(hooked):
            raise ValueError(f"stage_channels must be of the places {places}, got {channels}")
        names = {block_name(place): number for place, number in channels.items()}
        derain = MODELS.build(dict(early_derain, stage_channels=names, places=tuple(names)))
        hooked = {place: hooked[place] for place in channels}
    module.derain = derain.to(next(module.parameters()))
    parts = {block_name(place): part for place, part in hooked.items()}
    module.derain_handles = [keep_when_missing(module, "derain"), *hook_blocks(derain, parts)]
    return module


def remove_early_derain(backbone: nn.Module) -> nn.Module:
    """Take the blocks of :func:`add_early_derain` out, so that the backbone is what it was.

    Returns:
        The blocks, which can be put in again.
    """
    module: Any = backbone
    for handle in module.derain_handles:
        handle.remove()
    derain: nn.Module = module.derain
    del module.derain, module.derain_handles
    return derain


def refuse_early_derain(backbone: nn.Module) -> None:
    """Raise ValueError if a backbone has early blocks already, or could have its own."""
    if hasattr(backbone, "derain"):
        raise ValueError(
            f"this {type(backbone).__name__} has a `derain` of its own: set its early_derain "
            "instead of wrapping it, and wrap a backbone only once"
        )


def block_name(place: str) -> str:
    """Return the name of the block after a module: ``stages_0`` for ``stages.0``."""
    return place.replace(".", "_")


def hook_blocks(derain: nn.Module, parts: Mapping[str, nn.Module]) -> list[RemovableHandle]:
    """Let blocks clean what modules put out.

    Args:
        derain: An :class:`EarlyFeatureDerain`, or a module with its interface.
        parts: Modules in the order in which they run, by the blocks' names. The gate looks at
            what the first one puts out; where there is no block, nothing is cleaned.

    Returns:
        Handles whose ``remove`` ends it.
    """
    cleaning = _Cleaning(derain, tuple(parts))
    return [
        part.register_forward_hook(partial(cleaning, name), with_kwargs=True)
        for name, part in parts.items()
    ]


class _Cleaning:
    """The hooks of a backbone: the first to run judges the images, all clean them."""

    def __init__(self, derain: Any, places: tuple[str, ...]) -> None:
        self._derain = derain
        self._places = places
        self._logits: Tensor | None = None

    def __call__(
        self, place: str, module: nn.Module, args: tuple, kwargs: dict, output: Any
    ) -> Any:
        feat, as_output = _feature_map(output, args, kwargs)
        if place == self._places[0]:
            self._logits = self._derain.rain_logits(feat)
        cleaned = self._derain(feat, place, self._logits)[0]
        if place == self._places[-1]:
            self._logits = None
        return as_output(cleaned)


def _feature_map(output: Any, args: tuple, kwargs: dict) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Find the map ``(N, C, H, W)`` in what a module puts out, and how to put it back."""
    if isinstance(output, Tensor) and output.ndim == 4:
        return output, lambda feat: feat
    is_pair = isinstance(output, tuple) and len(output) == 2
    tokens = output[0] if is_pair else output
    sizes = [output[1]] if is_pair else [*args, *kwargs.values()]
    size = next(filter(partial(_is_size_of, tokens), sizes), None)
    if size is None:
        raise ValueError(f"gives {_described(output)}, not one map (N, C, H, W)")

    def as_output(feat: Tensor) -> Any:
        return (nchw_to_nlc(feat), size) if is_pair else nchw_to_nlc(feat)

    return nlc_to_nchw(tokens, size), as_output


def _is_size_of(tokens: Any, size: Any) -> bool:
    """Say whether ``size`` is height and width of ``tokens``, ``(N, H · W, C)``."""
    if not isinstance(tokens, Tensor) or tokens.ndim != 3:
        return False
    if not isinstance(size, list | tuple) or len(size) != 2:
        return False
    is_scalar = [not isinstance(side, Tensor) or side.ndim == 0 for side in size]
    return all(is_scalar) and bool(size[0] * size[1] == tokens.shape[1])


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    length = f" of {len(output)}" if isinstance(output, list | tuple) else ""
    return f"a {type(output).__name__}{length}"


def modules_at(backbone: nn.Module, places: Sequence[str]) -> dict[str, nn.Module]:
    """Return the modules of these names whose output blocks can clean.

    Raises:
        ValueError: The backbone has not all of them; none or one twice.
    """
    if isinstance(places, str) or not places or len(set(places)) < len(places):
        raise ValueError(f"places must be a list of module names, each once, got {places!r}")
    return {place: _module_at(backbone, place) for place in places}


def _module_at(backbone: nn.Module, place: str) -> nn.Module:
    try:
        module = backbone.get_submodule(place)
    except AttributeError:
        module = None
    if module is None or isinstance(module, nn.ModuleList | nn.ModuleDict) or module is backbone:
        raise ValueError(
            f"places must be modules of {type(backbone).__name__}, such as "
            f"{', '.join(_examples(backbone))}; got {place!r}"
        )
    # It gives its map and a shrunk copy; both are made of what the last block gives.
    return module.blocks[-1] if isinstance(module, SwinBlockSequence) else module


def _examples(backbone: nn.Module) -> Iterator[str]:
    for name, child in backbone.named_children():
        if isinstance(child, nn.ModuleList):
            yield from (f"{name}.{i}" for i in range(len(child)))
        else:
            yield name


def channels_of(backbone: nn.Module, parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Return the channels of what modules of a backbone put out, in the order in which they run.

    Raises:
        ValueError: One that does not run once for an image, or gives no map.
    """
    seen: list[tuple[str, int]] = []

    def see(place: str, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        try:
            seen.append((place, _feature_map(output, args, kwargs)[0].shape[1]))
        except ValueError as error:
            raise ValueError(f"{place!r} {error}: name a module inside it") from None

    handles = [
        module.register_forward_hook(partial(see, place), with_kwargs=True)
        for place, module in parts.items()
    ]
    try:
        _run(backbone)
    finally:
        for handle in handles:
            handle.remove()
    for place in parts:
        times = sum(name == place for name, _ in seen)
        if times != 1:
            raise ValueError(
                f"{place!r} runs {times} times in a forward pass of {type(backbone).__name__}, and "
                "blocks need a module that runs once"
            )
    return dict(seen)


def _run(backbone: nn.Module) -> None:
    image = next(backbone.parameters()).new_zeros(1, 3, DRY_RUN_SIZE, DRY_RUN_SIZE)
    try:
        with _evaluating(backbone), torch.no_grad():
            backbone(image)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"{type(backbone).__name__} cannot run on an image {tuple(image.shape)} ({error}): "
            "give the channels of each place as early_derain.stage_channels, from the first to run"
        ) from error


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training

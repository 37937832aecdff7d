"""Where an image of a batch is no padding, so that what pools over it leaves the padding out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor

Size = tuple[int, int]


class _Areas(NamedTuple):
    sizes: tuple[Size, ...]
    padded: Size


_areas: ContextVar[_Areas | None] = ContextVar("valid_area", default=None)


@contextmanager
def valid_area(sizes: Sequence[Size], padded: Size) -> Iterator[None]:
    """Let de-rain blocks see no padding: they clean each image's own part of the maps only.

    Attention and normalisation pool over a map, so that without this what they do to an image
    depends a little on how much padding it has. Padding is right of and below an image, as in
    mmdet; its features stay as they are, and its masks are 0. Exported and compiled graphs are of
    one size: they see the padding, whatever is noted here.

    Args:
        sizes: Height and width of each image of the batch without its padding, px.
        padded: Of the batch's images with it, px.

    Raises:
        ValueError: A size that is not inside ``padded``.

    Example:
        >>> derain, feats = MultiScaleFeatureDerain((8,)), (torch.randn(1, 8, 4, 4),)
        >>> with valid_area([(64, 128)], padded=(128, 128)):
        ...     cleaned = derain(feats)  # looks at the upper half
    """
    for height, width in sizes:
        if not (0 < height <= padded[0] and 0 < width <= padded[1]):
            raise ValueError(f"sizes must be inside padded, {padded}, got {(height, width)}")
    token = _areas.set(_Areas(tuple(sizes), padded))
    try:
        yield
    finally:
        _areas.reset(token)


def clean_valid_area(
    block: Callable[..., tuple[Tensor, Tensor]], feat: Tensor, *per_image: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return ``block(feat, *per_image)``, of the images without their padding.

    Args:
        block: Gives the cleaned map, and its mask ``(N, 1, H, W)``.
        feat: ``(N, C, H, W)``.
        per_image: More arguments, ``(N, ...)`` or None.
    """
    parts = _parts(feat)
    if parts is None:
        return block(feat, *per_image)
    cleaned, mask = feat.clone(), torch.zeros_like(feat[:, :1])
    for chosen, (height, width) in parts:
        area = (chosen, slice(None), slice(height), slice(width))
        of_part = [None if value is None else value[chosen] for value in per_image]
        part, part_mask = block(feat[area], *of_part)
        cleaned[area], mask[area] = part.to(feat.dtype), part_mask.to(feat.dtype)
    return cleaned, mask


def change_valid_area(change: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return ``change(images)``, of images ``(N, C, H, W)`` without their padding, which stays."""
    parts = _parts(images)
    if parts is None:
        return change(images)
    changed = images.clone()
    for chosen, (height, width) in parts:
        area = (chosen, slice(None), slice(height), slice(width))
        changed[area] = change(images[area]).to(images.dtype)
    return changed


def judge_valid_area(judge: Callable[[Tensor], Tensor], feat: Tensor) -> Tensor:
    """Return ``judge(feat)``, one number per image ``(N,)``, of the images without padding."""
    parts = _parts(feat)
    if parts is None:
        return judge(feat)
    judged = [judge(feat[chosen, :, :height, :width]) for chosen, (height, width) in parts]
    order = [image for chosen, _ in parts for image in chosen]
    return torch.cat(judged)[torch.tensor(order, device=feat.device).argsort()]


def _parts(feat: Tensor) -> list[tuple[list[int], Size]] | None:
    """Return which images have which size on this map, in cells; None without padding."""
    areas = None if torch.compiler.is_compiling() else _areas.get()
    if areas is None:
        return None
    if len(areas.sizes) < len(feat):
        raise ValueError(f"valid_area has {len(areas.sizes)} sizes for {len(feat)} images")
    shape: Any = feat.shape[-2:]
    cells = [_cells(shape, size, areas.padded) for size in areas.sizes[: len(feat)]]
    if all(size == tuple(shape) for size in cells):
        return None
    return [
        ([image for image, other in enumerate(cells) if other == size], size)
        for size in sorted(set(cells))
    ]


def _cells(shape: Size, size: Size, padded: Size) -> Size:
    """Count the cells of a map that an image reaches, a part of one as a whole."""
    height, width = (-(-n * side // of) for n, side, of in zip(shape, size, padded, strict=True))
    return height, width

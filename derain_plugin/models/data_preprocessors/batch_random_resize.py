"""RT-DETR's multi-scale training: each batch is resized to a random size."""

from collections.abc import Sequence

import numpy as np
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import BaseBoxes
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.functional import interpolate

MODES = ("nearest", "bilinear")


@MODELS.register_module()
class BatchRandomResize(nn.Module):
    """Resize a training batch, boxes included, to a size that is drawn at random.

    A batch augmentation of :class:`mmdet.models.DetDataPreprocessor`, after RT-DETR
    (https://arxiv.org/abs/2304.08069; ``multi_scale`` of its PyTorch code, which resizes each
    batch with ``F.interpolate``, by default nearest). mmdet's ``BatchSyncRandomResize`` draws
    from a range, holds the size for several iterations and keeps its state in memory only.

    Here the size follows from ``seed`` and the Runner's iteration alone: it is the same on all
    ranks without communication, and after a resume. Outside a Runner the iteration counts as 0.

    Args:
        sizes: Sizes in pixels to draw from, each as likely as it is frequent: ``(width, height)``,
            or a side length, which resizes square batches to a square.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        seed: Another seed gives another sequence of sizes.

    Raises:
        ValueError: If a size is not made of positive integers, or the interpolation is unknown;
            in a forward pass, if a side length meets a batch that is no square.

    Shape:
        - Input: ``(N, C, H, W)``, boxes ``(x1, y1, x2, y2)`` in pixels.
        - Output: ``(N, C, H', W')`` with ``(W', H')`` from ``sizes``.
    """

    def __init__(
        self,
        sizes: Sequence[int | Sequence[int]],
        *,
        interpolation: str = "nearest",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not sizes or not all(map(_is_size, sizes)):
            raise ValueError(
                "sizes must be positive integers or pairs of them (width, height), at least one, "
                f"got {sizes!r}"
            )
        if interpolation not in MODES:
            raise ValueError(f"interpolation must be one of {MODES}, got {interpolation!r}")
        self.sizes = tuple(sizes)
        self.interpolation = interpolation
        self.seed = seed

    def forward(
        self, inputs: Tensor, data_samples: list[DetDataSample]
    ) -> tuple[Tensor, list[DetDataSample]]:
        """Resize ``inputs``, and the annotations and metainfo of ``data_samples`` in place."""
        drawn = self._draw(MessageHub.get_current_instance().get_info("iter", 0))
        height, width = inputs.shape[-2:]
        if isinstance(drawn, int) and height != width:
            raise ValueError(
                f"BatchRandomResize would squeeze batches of {width} x {height} px into squares: "
                "give its sizes as pairs (width, height), or let image_size=(width, height) do so"
            )
        new_width, new_height = (drawn, drawn) if isinstance(drawn, int) else drawn
        size = new_height, new_width
        if (height, width) != size:
            inputs = interpolate(inputs, size=size, mode=self.interpolation)
            scales = dict(scale_x=new_width / width, scale_y=new_height / height)
            for data_sample in data_samples:
                _rescale(data_sample, **scales, size=size)
        return inputs, data_samples

    def _draw(self, iteration: int) -> int | Sequence[int]:
        return self.sizes[np.random.default_rng((self.seed, iteration)).integers(len(self.sizes))]


def _is_size(size: object) -> bool:
    sides = size if isinstance(size, list | tuple) else (size, size)
    return len(sides) == 2 and all(isinstance(side, int) and side > 0 for side in sides)


def _rescale(
    data_sample: DetDataSample, *, scale_x: float, scale_y: float, size: tuple[int, int]
) -> None:
    def scaled(shape: tuple[int, ...]) -> tuple[int, int]:
        return round(shape[0] * scale_y), round(shape[1] * scale_x)

    meta = data_sample.metainfo
    data_sample.set_metainfo(
        dict(
            batch_input_shape=size,
            img_shape=scaled(meta["img_shape"]),
            pad_shape=scaled(meta["pad_shape"]),
        )
    )
    if "scale_factor" in meta:
        factor_x, factor_y = meta["scale_factor"]
        data_sample.set_metainfo(dict(scale_factor=(factor_x * scale_x, factor_y * scale_y)))
    for name in ("gt_instances", "ignored_instances"):
        if name in data_sample:
            _rescale_instances(data_sample.get(name), scale_x, scale_y, size=size)


def _rescale_instances(
    instances: InstanceData, scale_x: float, scale_y: float, *, size: tuple[int, int]
) -> None:
    boxes = instances.bboxes
    if isinstance(boxes, BaseBoxes):
        boxes.rescale_((scale_x, scale_y))
    else:
        instances.bboxes = boxes * boxes.new_tensor([scale_x, scale_y, scale_x, scale_y])
    if "masks" in instances:
        instances.masks = instances.masks.resize(size)

"""Tell de-rain blocks of a detector of mmdet where the padding of its images is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mmdet.structures import DetDataSample
from torch import nn

from derain_plugin.models.layers.valid_area import valid_area


def leave_padding_out(detector: nn.Module) -> None:
    """From now on, let the de-rain blocks of a detector see no padding, see :func:`valid_area`.

    What it finds then does not depend on its batch. Without this, and in an exported file, blocks
    see the padding, too.

    Args:
        detector: Of mmdet. Called with data samples, it notes their sizes; called without, nothing.
            One that does so already stays as it is.
    """
    hooks: Any = detector._forward_pre_hooks.values()
    if any(isinstance(getattr(hook, "__self__", None), _Noted) for hook in hooks):
        return
    noted = _Noted()
    detector.register_forward_pre_hook(noted.begin, with_kwargs=True)
    detector.register_forward_hook(noted.end, always_call=True)


def valid_area_of(
    samples: Sequence[DetDataSample], *, training: bool = False
) -> AbstractContextManager[None]:
    """Return :func:`valid_area` of samples that a data preprocessor gave.

    Args:
        samples: Of one batch.
        training: Whether they come from a training's pipeline, which may crop and mix images:
            then the padding of the batch is left out, not that of the pipeline's ``Pad``.
    """
    padded = samples[0].batch_input_shape
    sizes = [sample.img_shape[:2] if training else file_area(sample) for sample in samples]
    return valid_area([(min(h, padded[0]), min(w, padded[1])) for h, w in sizes], padded)


def file_area(sample: DetDataSample) -> tuple[int, int]:
    """Return its height and width in px, in a test: pipelines there resize and pad only.

    ``img_shape`` does not tell, as mmcv's ``Pad`` counts the padding in.
    """
    height, width = sample.ori_shape
    scale_x, scale_y = sample.metainfo.get("scale_factor", (1.0, 1.0))
    return round(height * scale_y), round(width * scale_x)


class _Noted:
    def __init__(self) -> None:
        self._open: list[AbstractContextManager[None]] = []

    def begin(self, detector: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        names = ("inputs", "data_samples", "mode")
        called = dict(zip(names, args, strict=False)) | kwargs
        samples = called.get("data_samples")
        area: AbstractContextManager[None] = nullcontext()
        if samples:
            area = valid_area_of(samples, training=called.get("mode") == "loss")
        area.__enter__()
        self._open.append(area)

    def end(self, *_: Any) -> None:
        if self._open:  # else `begin` failed
            self._open.pop().__exit__(None, None, None)

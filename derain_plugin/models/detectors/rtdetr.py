"""RT-DETR as an mmdet detector."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS
from mmengine.logging import print_log

from derain_plugin.models.data_preprocessors.pixel_statistics import pixel_statistics
from derain_plugin.models.loading import require_fit


@MODELS.register_module()
class RTDETR(SingleStageDetector):
    """Real-time detection transformer (Zhao et al. 2023, https://arxiv.org/abs/2304.08069).

    By the ``arch`` of its parts it is also RT-DETRv2 (https://arxiv.org/abs/2407.17140),
    D-FINE (https://arxiv.org/abs/2410.13842) or DEIMv2 (https://arxiv.org/abs/2509.20787).

    A plain ``SingleStageDetector`` of :class:`RTDETRBackbone`, :class:`RTDETRHybridEncoder`
    (alone or inside :class:`DerainNeck`) and :class:`RTDETRHead`. It adds two checks: the parts
    must fit each other, and a checkpoint must fit the model through every way of loading it,
    where mmengine would only warn. Weights of ``hf://`` that were trained on pixels of another
    mean and deviation than those of ``data_preprocessor`` load with a warning.

    Args:
        backbone: Config of the backbone.
        neck: Config of the neck.
        bbox_head: Config of the head.
        **kwargs: ``train_cfg``, ``test_cfg``, ``data_preprocessor``, ``init_cfg`` of mmdet.

    Raises:
        ValueError: Channels of neighbouring parts differ, at construction; on loading,
            a checkpoint misses weights, has others, or has them in other shapes.
    """

    def __init__(self, backbone: dict, neck: dict, bbox_head: dict, **kwargs: Any) -> None:
        super().__init__(backbone=backbone, neck=neck, bbox_head=bbox_head, **kwargs)
        _check_channels("backbone", self.backbone, "neck", self.neck)
        _check_channels("neck", self.neck, "bbox_head", self.bbox_head)
        self._shape_errors: list[str] = []
        self.register_load_state_dict_pre_hook(_watch_shape_errors)
        self.register_load_state_dict_pre_hook(_compare_pixels)
        self.register_load_state_dict_post_hook(_refuse_what_does_not_fit)


def _check_channels(giver_name: str, giver: Any, taker_name: str, taker: Any) -> None:
    out_channels = getattr(giver, "out_channels", None)
    in_channels = getattr(taker, "in_channels", None)
    if not isinstance(out_channels, list | tuple) or not isinstance(in_channels, list | tuple):
        return  # other people's parts need not say
    if tuple(out_channels) != tuple(in_channels):
        raise ValueError(
            f"{giver_name} gives channels {out_channels}, but {taker_name} expects in_channels "
            f"{in_channels}; "
            "use the same `arch` in backbone, neck and bbox_head, and the backbone's channels as "
            "the de-rain neck's `in_channels`"
        )


def _watch_shape_errors(model: RTDETR, *args: Any) -> None:
    model._shape_errors = args[-1]


def _compare_pixels(
    model: RTDETR, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *_: Any
) -> None:
    trained_on = local_metadata.get("pixels")
    if trained_on is None:
        return
    found = pixel_statistics(model.data_preprocessor)
    if any(not _alike(found[name], values) for name, values in trained_on.items()):
        print_log(
            f"the weights were trained on pixels with {_shown(trained_on)} (the folder's "
            f"preprocessor_config.json), but data_preprocessor has {_shown(found)}: give it "
            "theirs, unless you train the whole detector",
            logger="current",
            level=logging.WARNING,
        )


def _alike(found: Sequence[float], values: Sequence[float]) -> bool:
    return np.allclose(found, values, rtol=1e-3, atol=1e-3)


def _shown(pixels: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={[round(float(each), 3) for each in values]}" for name, values in pixels.items()
    )


def _refuse_what_does_not_fit(model: RTDETR, incompatible_keys: Any) -> None:
    errors, model._shape_errors = model._shape_errors, []
    require_fit(
        f"the checkpoint does not fit this {type(model).__name__}",
        "Use the config that the checkpoint was trained with (same arch, same neck).",
        missing=incompatible_keys.missing_keys,
        unexpected=incompatible_keys.unexpected_keys,
        other_shape=errors,
    )

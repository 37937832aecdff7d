"""A de-rain neck in front of any other neck, or of none."""

import logging
from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule, BaseTTAModel, is_model_wrapper
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from derain_plugin.models.backbones import EarlyFeatureDerain
from derain_plugin.models.loading import keep_weights, require_fit


@MODELS.register_module()
class DerainNeck(BaseModule):
    """Clean the backbone's features, then hand them to the detector's own neck.

    A checkpoint of the same detector without this neck loads as it is, however it is loaded:
    its ``neck.*`` keys become ``neck.neck.*`` and the de-rain part keeps the weights it has, the
    identity when fresh. That much is expected and only logged; anything else that a checkpoint
    lacks of this neck is an error, also where mmengine would only warn. What it lacks of the
    detector around it is one in an ``RTDETR``, and in any other that
    :func:`require_whole_checkpoint` was called with, as ``SafeFilesHook`` does.

    A vanilla config becomes a derained one, and its children can change one option of either
    part, since both are dicts::

        model = dict(
            neck=dict(
                _delete_=True,
                type='DerainNeck',
                derain=dict(type='MultiScaleFeatureDerain', in_channels=(128, 256, 512)),
                neck={{_base_.model.neck}}))

        # in a child of that config
        model = dict(neck=dict(derain=dict(num_residual_blocks=3)))

    Args:
        derain: Config of a de-rain neck, or the module.
        neck: Config of the neck behind it, or the module; a list of them, as mmdet's detectors
            take one; None for a detector without a neck, whose head is given the cleaned levels.
        init_cfg: mmengine initialisation.

    Attributes:
        in_channels: Channels expected from the backbone.
        out_channels: The inner neck's ``out_channels`` (None where it does not tell); without one
            the same as ``in_channels``.

    Raises:
        TypeError: ``derain`` is no de-rain neck.
        ValueError: The channels of the two parts differ, at construction; on loading, a
            checkpoint that does not fit.
    """

    def __init__(
        self,
        derain: dict | nn.Module,
        neck: dict | list[dict] | nn.Module | None = None,
        *,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.derain = _build(derain)
        self.neck = nn.Identity() if neck is None else _build(neck)
        _check_channels(self.derain, self.neck, _taken_channels(self.neck, neck))
        _warn_of_dropped_levels(self.neck)
        self.in_channels = self.derain.in_channels
        self.out_channels = (
            self.in_channels if neck is None else getattr(self.neck, "out_channels", None)
        )
        self._loading: tuple[str, list[str]] = ("", [])
        self.register_load_state_dict_post_hook(_refuse_what_does_not_fit)

    def forward(self, feats: Sequence[Tensor]) -> Any:
        """Return what the inner neck makes of the cleaned ``feats``."""
        return self.neck(self.derain(feats))

    def rain_masks(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the rain masks, ``(N, 1, H_i, W_i)`` per level, 0-1."""
        return self.derain.rain_masks(feats)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Both torch and mmengine hand over this module's share of the checkpoint only, and take
        # the children's shares from it afterwards: what is renamed here is what they see.
        if not any(key.startswith(f"{prefix}derain.") for key in state_dict):
            _adopt_inner_neck(self.neck, state_dict, prefix)
            keep_weights(self.derain, state_dict, f"{prefix}derain.", kind="de-rain")
        self._loading = (prefix, args[-1])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _build(part: dict | list[dict] | nn.Module) -> Any:
    return part if isinstance(part, nn.Module) else MODELS.build(part)


def _taken_channels(neck: nn.Module, cfg: Any) -> Any:
    # ChannelMapper keeps none.
    return getattr(neck, "in_channels", cfg.get("in_channels") if isinstance(cfg, dict) else None)


def _check_channels(derain: Any, neck: nn.Module, taken: Any) -> None:
    if not (hasattr(derain, "in_channels") and hasattr(derain, "rain_masks")):
        raise TypeError(
            "`derain` must be a de-rain neck (with in_channels and rain_masks), such as "
            f"MultiScaleFeatureDerain, got {type(derain).__name__}"
        )
    if not isinstance(taken, Sequence):
        return
    # Order is left to the first forward: YOLOV3Neck lists its channels from coarse to fine.
    if sorted(taken) != sorted(derain.in_channels):
        raise ValueError(
            f"{type(derain).__name__} has in_channels {tuple(derain.in_channels)}, but "
            f"{type(neck).__name__} behind it has in_channels {tuple(taken)}: "
            "give both the channels of the backbone's out_indices"
        )


def _warn_of_dropped_levels(neck: nn.Module) -> None:
    start = getattr(neck, "start_level", 0)
    if start:
        print_log(
            f"{type(neck).__name__} has start_level={start}: de-raining the levels before it costs "
            "time and trains nothing (DDP then needs find_unused_parameters=True). Take them out "
            "of the backbone's out_indices and of both in_channels, and set start_level=0; "
            "checkpoints still fit.",
            logger="current",
            level=logging.WARNING,
        )


def _adopt_inner_neck(neck: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Rename ``X`` to ``neck.X``, unless the names are the inner neck's already."""
    if all(f"{prefix}neck.{name}" in state_dict for name, _ in neck.named_parameters()):
        return
    own = [key for key in state_dict if key.startswith(prefix)]
    state_dict.update({f"{prefix}neck.{k[len(prefix) :]}": state_dict.pop(k) for k in own})


def require_whole_checkpoint(detector: nn.Module) -> RemovableHandle | None:
    """From now on, refuse what lacks weights of ``detector``, if it has de-rain blocks.

    A neck sees its own share of a checkpoint only, not what the backbone or the head miss. The
    blocks themselves may be missing, and with :func:`keep_when_missing` others of your own.

    Args:
        detector: Any detector, wrapped or not.

    Returns:
        The handle whose ``remove`` ends it, None for a detector without a :class:`DerainNeck`
        or :class:`EarlyFeatureDerain`.
    """
    model: Any = detector
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    if not any(isinstance(module, DerainNeck | EarlyFeatureDerain) for module in model.modules()):
        return None
    return model.register_load_state_dict_post_hook(_refuse_incomplete)


def _refuse_what_does_not_fit(neck: DerainNeck, incompatible_keys: Any) -> None:
    prefix, errors = neck._loading
    keys = incompatible_keys.unexpected_keys
    require_fit(
        f"the checkpoint does not fit {type(neck.derain).__name__} in front of "
        f"{type(neck.neck).__name__}",
        "Load a checkpoint of the same detector, with this de-rain neck or with none; for a part "
        "of the weights, load that module",
        missing=[key for key in incompatible_keys.missing_keys if key.startswith(prefix)],
        unexpected=[key for key in keys if key.startswith(f"{prefix}derain.")],
        other_shape=[error for error in errors if f" {prefix}" in error],
    )


def _refuse_incomplete(detector: nn.Module, incompatible_keys: Any) -> None:
    require_fit(
        f"the checkpoint does not fit this {type(detector).__name__}",
        "Load a checkpoint of the same detector; for a part of the weights, load that module; "
        "name blocks of your own, which it need not have, with derain_plugin.models."
        "keep_when_missing",
        missing=incompatible_keys.missing_keys,
    )

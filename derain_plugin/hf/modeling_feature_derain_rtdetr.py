"""transformers' RT-DETR with a de-rain module between backbone and hybrid encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import AutoModelForObjectDetection, PreTrainedModel
from transformers.models.rt_detr.modeling_rt_detr import RTDetrObjectDetectionOutput

from derain_plugin.hf.configuration_feature_derain_rtdetr import FeatureDerainRTDetrConfig
from derain_plugin.models.backbones import EarlyFeatureDerain, ImageFilter
from derain_plugin.models.backbones.derain_backbone import hook_blocks
from derain_plugin.models.necks import (
    LightweightFeatureDerain,
    MultiScaleFeatureDerain,
    PlainFeatureRefine,
)
from derain_plugin.models.necks.feature_derain import BaseFeatureDerain
from derain_plugin.models.rtdetr.half_on_cpu import HalfOnCpuWarning
from derain_plugin.models.rtdetr.parts import (
    backbone_of,
    channels_given,
    encoded,
    features_of,
    has_projector,
    inputs_of,
    maps_of,
    projected,
    stages_of,
    without_encoder,
)

# By name, and no others: a registry would call whatever a stranger's config.json names.
DERAIN_NECKS: dict[str, type[BaseFeatureDerain]] = {
    neck.__name__: neck
    for neck in (MultiScaleFeatureDerain, LightweightFeatureDerain, PlainFeatureRefine)
}


class FeatureDerainRTDetr(PreTrainedModel):
    """An RT-DETR whose encoder gets cleaned features; a model of transformers otherwise.

    RT-DETRv2, D-FINE and DEIMv2 will do as well; with a DINOv3 what is cleaned is what its spatial
    tuning adapter and the ViT give together. So will RF-DETR and LW-DETR, of which the maps of the
    ViT are cleaned in front of the projector. With a fresh de-rain module all outputs are bitwise
    those of the detector alone. Both parts have their own parameters, so that each can be frozen
    or have a learning rate of its own. ``from_pretrained`` refuses weights that do not fill the
    model.

    Args:
        config: Settings of both parts.
        rtdetr: The detector, if there is one already; default a new one with random weights.

    Attributes:
        rtdetr: transformers' ``RTDetrForObjectDetection``, or its like.
        derain_module: A de-rain neck as in mmdet configs, such as
            :class:`MultiScaleFeatureDerain`, or None.
        image_filter: An :class:`ImageFilter` in front of the backbone, or None.
        early_derain: The :class:`EarlyFeatureDerain` that cleans features inside the backbone, or
            None; see :meth:`set_early_derain`.

    Raises:
        ValueError: ``config.derain`` is no such neck, or one for other channels;
            ``config.early_derain`` is none of the backbone's stages; ``config.image_filter`` is no
            :class:`ImageFilter`.
        TypeError: One of them has an option that the blocks have not.
    """

    config_class = FeatureDerainRTDetrConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(
        self, config: FeatureDerainRTDetrConfig, rtdetr: PreTrainedModel | None = None
    ) -> None:
        super().__init__(config)
        self.rtdetr: Any = rtdetr or AutoModelForObjectDetection.from_config(config.rtdetr_config)
        config.rtdetr_config = self.rtdetr.config
        self.derain_module = _build_derain(config.derain, channels_given(self.backbone))
        self.image_filter = _build_filter(config.image_filter)
        self.early_derain: Any = None
        self._early_handles: list[RemovableHandle] = []
        if config.early_derain is not None:
            self.set_early_derain(_build_early(config.early_derain, stages_of(self.backbone)))
        self._warn_of_half = HalfOnCpuWarning()
        self.post_init()
        self.train(self.training)

    def forward(
        self,
        pixel_values: Tensor,
        pixel_mask: Tensor | None = None,
        labels: list[dict[str, Tensor]] | None = None,
        **kwargs: Any,
    ) -> RTDetrObjectDetectionOutput:
        """Detect, and with ``labels`` compute transformers' loss.

        Args:
            pixel_values: ``(N, 3, H, W)``, RGB, 0-1, as ``RTDetrImageProcessor`` gives them.
            pixel_mask: ``(N, H, W)``, 0 in the padding; of use for RF-DETR and LW-DETR alone, as
                in transformers.
            labels: Per image ``class_labels`` (M,), int64, and ``boxes`` (M, 4) as cx, cy, w, h
                in 0-1.
            **kwargs: Other options of ``RTDetrForObjectDetection``, such as
                ``output_hidden_states``.

        Returns:
            ``logits`` (N, Q, C), ``pred_boxes`` (N, Q, 4) as cx, cy, w, h in 0-1, and the rest of
            what the detector alone gives: with ``labels`` also ``loss`` and ``loss_dict``.

        Warns:
            RuntimeWarning: The model is in fp16 or bf16 on a CPU, where torch samples wrong
                values from maps of this size.
        """
        feats = self.extract(pixel_values)
        if self.derain_module is not None:
            feats = self.derain_module(feats)
        self._warn_of_half(feats, channels=self.rtdetr.config.d_model)
        model = self.rtdetr.model
        if has_projector(model):
            inputs = inputs_of(model, maps_of(encoded(model, feats)))
            with without_encoder(model):
                return self.rtdetr(**inputs, pixel_mask=pixel_mask, labels=labels, **kwargs)
        maps = projected(model, feats)
        if hasattr(model, "conv_encoder"):  # DEIMv2 takes no encoder_outputs
            return self.rtdetr(None, inputs_embeds=maps, labels=labels, **kwargs)
        outputs = model.encoder(maps, **kwargs)
        return self.rtdetr(
            None, inputs_embeds=maps, encoder_outputs=outputs, labels=labels, **kwargs
        )

    def extract(self, pixel_values: Tensor) -> list[Tensor]:
        """Return the backbone's features, of filtered images where there is a filter."""
        if self.image_filter is not None:
            pixel_values = self.image_filter(pixel_values)
        return features_of(self.backbone, pixel_values)

    @property
    def backbone(self) -> Any:
        """What gives the features to the de-rain module."""
        return backbone_of(self.rtdetr.model)

    def set_early_derain(self, early: nn.Module | None) -> None:
        """Put early de-rain blocks in the place of those that are there; None for none.

        They are this model's, not the detector's: ``rtdetr`` keeps its state dict.
        """
        for handle in self._early_handles:
            handle.remove()
        self.early_derain, self._early_handles = early, []
        if early is not None:
            self._early_handles = hook_blocks(early, stages_of(self.backbone))

    def train(self, mode: bool = True) -> FeatureDerainRTDetr:
        """Set the mode; with ``config.freeze_backbone`` the backbone stays in eval, frozen."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.backbone.eval().requires_grad_(False)
        return self

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *args: Any,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load as transformers does, with its options: ``id2label``, ``num_labels``, ``dtype``, ...

        Raises:
            ValueError: Weights are missing, which transformers would only warn of.
            RuntimeError: Weights have another shape, and there is no
                ``ignore_mismatched_sizes=True``, with which those of the detector start anew.
        """
        model, report = super().from_pretrained(
            pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
        )
        refuse_missing(str(pretrained_model_name_or_path), report)
        return (model, report) if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: Any,
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        """Save as transformers does; see ``weights_to_save``."""
        weights = weights_to_save(self) if state_dict is None else state_dict
        super().save_pretrained(save_directory, is_main_process, weights, **kwargs)

    @classmethod
    def is_custom_code(cls) -> bool:
        """Say no: transformers would leave out RTDetrForObjectDetection's own initialisation."""
        return False

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Leave the de-rain module the identity; transformers' parts have their own."""


def weights_to_save(model: PreTrainedModel) -> dict[str, Tensor] | None:
    """Return what ``save_pretrained`` shall write; None for all that it would write itself.

    Decoder layers of DEIMv2's smallest sizes share a box head. Of its names transformers 5.24
    writes one that ``from_pretrained`` does not read, so that the head silently starts anew.
    """
    if not getattr(model.config, "share_bbox_head", False):
        return None
    others = re.compile(r"^(rtdetr\.)?bbox_embed\.|decoder\.bbox_embed\.[1-9]")
    return {key: value for key, value in model.state_dict().items() if not others.search(key)}


AutoModelForObjectDetection.register(FeatureDerainRTDetrConfig, FeatureDerainRTDetr)


def refuse_missing(source: str, report: Mapping[str, Any]) -> None:
    """Raise ValueError if transformers' loading report tells of weights that are not there.

    Mismatched ones of a detector were asked to start anew; those of de-rain blocks cannot.
    """
    ours = ("derain_module.", "early_derain.", "image_filter.")
    found = [key for key, *_ in report["mismatched_keys"] if key.startswith(ours)]
    if report["missing_keys"] or found:
        raise ValueError(
            f"the weights of {source} do not fill the model its config.json describes: "
            f"missing {sorted(report['missing_keys'])}, other shapes {sorted(found)}"
        )


def _build_derain(
    settings: Mapping[str, Any] | None, channels: tuple[int, ...]
) -> BaseFeatureDerain | None:
    if settings is None:
        return None
    options = dict(settings)
    kind = options.pop("type", None)
    if kind not in DERAIN_NECKS:
        raise ValueError(f"derain.type must be one of {sorted(DERAIN_NECKS)}, got {kind!r}")
    neck = DERAIN_NECKS[kind](**options)
    if neck.in_channels != channels:
        raise ValueError(
            f"derain.in_channels is {list(neck.in_channels)}, but the backbone gives channels "
            f"{list(channels)}"
        )
    return neck


def _build_filter(settings: Mapping[str, Any] | None) -> ImageFilter | None:
    if settings is None:
        return None
    options = dict(settings)
    if options.pop("type", None) != ImageFilter.__name__:
        raise ValueError(f"image_filter.type must be ImageFilter, got {settings}")
    return ImageFilter(**options)


def _build_early(
    settings: Mapping[str, Any], stages: Mapping[str, nn.Module]
) -> EarlyFeatureDerain:
    options = dict(settings)
    kind, channels = options.pop("type", None), options.pop("stage_channels", {})
    if kind != EarlyFeatureDerain.__name__ or set(channels) != set(stages):
        raise ValueError(
            "early_derain must have type EarlyFeatureDerain, and stage_channels of "
            f"{', '.join(stages)}, got {settings}"
        )
    # The gate looks at the first stage, and a saved config.json is sorted.
    return EarlyFeatureDerain({stage: channels[stage] for stage in stages}, **options)

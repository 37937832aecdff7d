"""What ``config.json`` says of a detector with a de-rain module."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig, RTDetrConfig

from derain_plugin.version import __version__

DETECTORS = ("rt_detr", "rt_detr_v2", "d_fine")
"""transformers' ``model_type`` of the detectors that a de-rain module can clean features for."""


class FeatureDerainRTDetrConfig(PreTrainedConfig):
    """Settings of :class:`FeatureDerainRTDetr`.

    Args:
        rtdetr_config: Of the detector without its de-rain module; default transformers' default.
        derain: ``type`` and options of a de-rain neck, as in an mmdet config:
            ``dict(type="MultiScaleFeatureDerain", in_channels=[128, 256, 512])``; None for none.
        freeze_backbone: Whether parameters and BatchNorm statistics of the backbone stay as they
            are in training.
        **kwargs: Settings that all transformers models have. Class names are those of
            ``rtdetr_config`` where ``id2label`` gives no others.

    Attributes:
        plugin_version: Of this package. A saved config has that of the package that saved it.

    Raises:
        ValueError: The settings are those of another model, or of a detector that is no RT-DETR.
    """

    model_type = "feature_derain_rt_detr"
    sub_configs = {"rtdetr_config": AutoConfig}  # noqa: RUF012  transformers' own declaration

    def __init__(
        self,
        rtdetr_config: RTDetrConfig | dict[str, Any] | None = None,
        derain: dict[str, Any] | None = None,
        freeze_backbone: bool = False,
        **kwargs: Any,
    ) -> None:
        model_type = kwargs.pop("model_type", self.model_type)
        if model_type != self.model_type:
            raise ValueError(
                f"these are the settings of a {model_type!r} model without de-rain module: "
                "create_feature_derain_rtdetr(model_name) puts one in"
            )
        kwargs.pop("plugin_version", None)
        self.plugin_version = __version__
        self.rtdetr_config = _as_config(rtdetr_config)
        self.rtdetr_config.name_or_path = ""  # transformers leaves only the outer one out of files
        self.derain = derain
        self.freeze_backbone = freeze_backbone
        labels = {name: getattr(self.rtdetr_config, name) for name in ("id2label", "label2id")}
        # This one is handed down again, and None would turn the detector's own off.
        attention = dict(attn_implementation=self.rtdetr_config._attn_implementation)
        super().__init__(**{**labels, **attention, **kwargs})
        self.rtdetr_config.id2label, self.rtdetr_config.label2id = self.id2label, self.label2id


def _as_config(settings: RTDetrConfig | dict[str, Any] | None) -> RTDetrConfig:
    config = AutoConfig.for_model(**settings) if isinstance(settings, dict) else settings
    config = RTDetrConfig() if config is None else config
    if config.model_type not in DETECTORS:
        raise ValueError(
            f"rtdetr_config is that of a {config.model_type!r} model; it must be one of "
            f"{', '.join(map(repr, DETECTORS))}"
        )
    return config


AutoConfig.register(FeatureDerainRTDetrConfig.model_type, FeatureDerainRTDetrConfig)

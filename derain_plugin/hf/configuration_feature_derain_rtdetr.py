"""What ``config.json`` says of a detector with a de-rain module."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig, RTDetrConfig

from derain_plugin.version import __version__

DETECTORS = ("rt_detr", "rt_detr_v2", "d_fine", "deimv2", "rf_detr", "lw_detr")
"""transformers' ``model_type`` of the detectors that a de-rain module can clean features for."""


SHARED = (
    "id2label",
    "label2id",
    "problem_type",
    "output_hidden_states",
    "return_dict",
    "_output_attentions",
)
"""What every config of transformers has and the detector reads: kept in its config alone."""


def _of_detector(name: str) -> property:
    return property(
        lambda config: getattr(config.rtdetr_config, name),
        lambda config, value: setattr(config.rtdetr_config, name, value),
    )


class FeatureDerainRTDetrConfig(PreTrainedConfig):
    """Settings of :class:`FeatureDerainRTDetr`.

    Settings of the detector, class names among them, can be read and set here as in its own
    config: ``config.num_queries`` is ``config.rtdetr_config.num_queries``. There is one value.

    Args:
        rtdetr_config: Of the detector without its de-rain module; default transformers' default.
        derain: ``type`` and options of a de-rain neck, as in an mmdet config:
            ``dict(type="MultiScaleFeatureDerain", in_channels=[128, 256, 512])``; None for none.
        early_derain: Likewise of de-rain blocks inside the backbone, with the channels of all its
            stages: ``dict(type="EarlyFeatureDerain", places=["stem", "stage1"],
            stage_channels=dict(stem=64, stage1=64, ...))``; None for none.
        image_filter: Likewise of a filter in front of the backbone:
            ``dict(type="ImageFilter", std=[255.0])`` for images of 0-1; None for none.
        freeze_backbone: Whether parameters and BatchNorm statistics of the backbone stay as they
            are in training.
        **kwargs: Settings of the detector that differ from ``rtdetr_config``, such as
            ``id2label``, and those that all transformers models have.

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
        early_derain: dict[str, Any] | None = None,
        image_filter: dict[str, Any] | None = None,
        freeze_backbone: bool = False,
        **kwargs: Any,
    ) -> None:
        model_type = kwargs.pop("model_type", self.model_type)
        if model_type != self.model_type:
            raise ValueError(
                f"these are the settings of a {model_type!r} model without de-rain module: "
                "create_feature_derain(model_name) puts one in"
            )
        kwargs.pop("plugin_version", None)
        self.plugin_version = __version__
        self.rtdetr_config = _as_config(rtdetr_config)
        self.rtdetr_config.name_or_path = ""  # transformers leaves only the outer one out of files
        self.derain = derain
        self.early_derain = early_derain
        self.image_filter = image_filter
        self.freeze_backbone = freeze_backbone
        # transformers sets all of these, to its defaults if they are not named.
        shared = {name.lstrip("_"): getattr(self.rtdetr_config, name) for name in SHARED}
        shared["attn_implementation"] = self.rtdetr_config._attn_implementation
        backbone = getattr(self.rtdetr_config, "backbone_config", None)
        attention = backbone and backbone._attn_implementation
        super().__init__(**{**shared, **kwargs})
        if backbone:  # which transformers just gave the detector's, and it has no attention
            backbone._attn_implementation = attention

    def __getattr__(self, name: str) -> Any:
        """Read what this config has not from the detector's."""
        detector = self.__dict__.get("rtdetr_config")
        if detector is None or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(detector, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what only the detector's config has there."""
        detector = self.__dict__.get("rtdetr_config")
        own = name.startswith("_") or name in self.__dict__ or hasattr(type(self), name)
        if own or not hasattr(detector, name):
            super().__setattr__(name, value)
        else:
            setattr(detector, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, with class names in the one place where readers look for them."""
        settings: dict[str, Any] = super().to_dict()
        for name in ("id2label", "label2id"):
            settings[name] = settings["rtdetr_config"].pop(name)
        return settings


for _name in SHARED:
    setattr(FeatureDerainRTDetrConfig, _name, _of_detector(_name))


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

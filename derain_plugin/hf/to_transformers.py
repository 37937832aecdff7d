"""Our mmdet detectors as models of transformers, and as folders that ``from_pretrained`` loads."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForObjectDetection, PreTrainedModel, RTDetrConfig

from derain_plugin.files import partial_of
from derain_plugin.hf.configuration_feature_derain_rtdetr import FeatureDerainRTDetrConfig
from derain_plugin.hf.hf_checkpoint import (
    DERAINED_KEY_PREFIXES,
    KEY_PREFIXES,
    is_second_name,
    to_transformers_keys,
)
from derain_plugin.hf.modeling_feature_derain_rtdetr import (
    DERAIN_NECKS,
    FeatureDerainRTDetr,
    weights_to_save,
)
from derain_plugin.models import (
    RTDETR,
    DerainNeck,
    PixelDerainDataPreprocessor,
    RTDETRBackbone,
    RTDETRHead,
    RTDETRHybridEncoder,
)
from derain_plugin.models.rtdetr.config import rtdetr_config

# Settings of our parts that transformers' config has elsewhere, or not at all.
OWN_SETTINGS = {"type", "init_cfg", "frozen_stages", "early_derain"}
OWN_SETTINGS |= {"num_classes", "train_cfg", "test_cfg"}
OF_BACKBONE = ("backbone_config", "freeze_backbone_batch_norms")
OF_ENCODER = ("encode", "eval_size", "hidden_expansion", "normalize_before", "positional")
TOLERANCE = 1e-5
PIXEL_RANGE = 255.0  # by which RTDetrImageProcessor divides before it normalises


def to_transformers(
    detector: nn.Module, classes: Sequence[str], image_size: tuple[int, int]
) -> PreTrainedModel:
    """Give a detector's weights to a new model of transformers, and compare what both detect.

    Args:
        detector: On the CPU, in eval mode, with its config as ``cfg``; :class:`Detector` has it so.
        classes: Names by label.
        image_size: Height and width of the image they are compared on, px.

    Returns:
        A :class:`FeatureDerainRTDetr` for a detector with a de-rain neck, otherwise
        ``RTDetrForObjectDetection``; in eval mode.

    Raises:
        ValueError: The detector has parts or settings that such a model cannot have.
    """
    if not isinstance(detector, RTDETR):
        raise ValueError(f"only an RTDETR can be exported, not {type(detector).__name__}")
    neck = detector.neck
    derained = isinstance(neck, DerainNeck)
    _check_parts(detector, neck.neck if derained else neck)
    parts = detector.cfg.model.to_dict()
    inner = parts["neck"]["neck"] if derained else parts["neck"]
    config = _merged_config(parts["backbone"], inner, parts["bbox_head"], len(classes))
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: label for label, name in enumerate(classes)}
    if derained:
        settings = _derain_settings(neck.derain, parts["neck"]["derain"])
        model = FeatureDerainRTDetr(FeatureDerainRTDetrConfig(config, settings))
    else:
        model = AutoModelForObjectDetection.from_config(config)
    prefixes = DERAINED_KEY_PREFIXES if derained else KEY_PREFIXES
    _load(model, detector.state_dict(), prefixes)
    _compare(detector, model.eval(), image_size)
    return model


def write_hf_folder(
    model: PreTrainedModel,
    image_size: tuple[int, int],
    out: Path,
    *,
    normalisation: Mapping[str, Any] | None = None,
) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``preprocessor_config.json``.

    Args:
        model: A detector.
        image_size: Height and width to which images are resized, px.
        normalisation: What :func:`normalisation_of` says of pixels; default 0-1 and no more.
        out: Folder that appears whole or not at all. A process that is killed meanwhile leaves
            ``partial_of(out)`` behind, which the next attempt replaces.

    Raises:
        FileExistsError: ``out`` exists.
    """
    # Not at the top: without torchvision transformers warns that it takes Pillow instead.
    from transformers import RTDetrImageProcessor

    if out.exists():
        raise FileExistsError(f"{out} exists. Remove it, or name another folder.")
    partial = partial_of(out)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.save_pretrained(partial, state_dict=weights_to_save(model))
    height, width = image_size
    size = dict(height=height, width=width)
    processor = RTDetrImageProcessor(size=size, **(normalisation or dict(do_normalize=False)))
    processor.save_pretrained(partial)
    partial.rename(out)


def normalisation_of(detector: RTDETR) -> dict[str, Any]:
    """Return as options of ``RTDetrImageProcessor`` what the data preprocessor does to pixels."""
    pixels = detector.cfg.model.data_preprocessor
    mean, std = ([value / PIXEL_RANGE for value in pixels[name]] for name in ("mean", "std"))
    if not any(mean) and set(std) == {1.0}:
        return dict(do_normalize=False)
    return dict(do_normalize=True, image_mean=mean, image_std=std)


def image_size_of(pipeline: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the height and width, px, to which an mmdet pipeline resizes its images.

    Raises:
        ValueError: It does not resize them all to the same size, which is what
            ``RTDetrImageProcessor`` does.
    """
    steps = [step for step in pipeline if re.search("Resize|Pad", str(step["type"]))]
    if len(steps) == 1 and steps[0]["type"].split(".")[-1] == "Resize":
        scale = steps[0].get("scale")
        if isinstance(scale, tuple | list) and not steps[0].get("keep_ratio"):
            width, height = scale
            return height, width
    raise ValueError(
        "the test pipeline must resize with dict(type='Resize', scale=(width, height), "
        f"keep_ratio=False) alone, as transformers' RTDetrImageProcessor does; it has {steps}"
    )


def _check_parts(detector: RTDETR, neck: nn.Module) -> None:
    preprocessor = detector.data_preprocessor
    if isinstance(preprocessor, PixelDerainDataPreprocessor):
        raise ValueError(
            f"images of this detector go through {type(preprocessor.restorer).__name__} first, "
            "which a model of transformers cannot have"
        )
    pixels = detector.cfg.model.get("data_preprocessor") or {}
    found = {name: pixels.get(name) for name in ("mean", "std", "bgr_to_rgb")}
    if not all(found.values()):
        raise ValueError(
            "data_preprocessor must have mean, std and bgr_to_rgb=True, which an image processor "
            f"of transformers can do, but this config has {found}"
        )
    kinds = (RTDETRBackbone, RTDETRHybridEncoder, RTDETRHead)
    for part, kind in zip((detector.backbone, neck, detector.bbox_head), kinds, strict=True):
        if not isinstance(part, kind):
            raise ValueError(
                f"a model of transformers can be made of {kind.__name__}, not of "
                f"{type(part).__name__}"
            )
    if detector.backbone.derain is not None:
        raise ValueError(
            "a model of transformers is not made with the de-rain blocks inside this backbone "
            "(early_derain), only with those of a DerainNeck"
        )
    if hasattr(detector.backbone, "image_filter"):
        raise ValueError(
            "a model of transformers is not made with the filter in front of this backbone "
            "(FilteredBackbone): leave the adapter out, and load it into the model that is written"
        )


def _merged_config(
    backbone: Mapping[str, Any], neck: Mapping[str, Any], head: Mapping[str, Any], num_labels: int
) -> RTDetrConfig:
    """Put the settings of three parts into one; where they differ, who uses a setting decides."""
    merged = {"arch": "r18", **backbone, **neck, **head}
    merged |= {name: value for name, value in neck.items() if name.startswith(OF_ENCODER)}
    merged |= {name: value for name, value in backbone.items() if name in OF_BACKBONE}
    settings = {name: value for name, value in merged.items() if name not in OWN_SETTINGS}
    return rtdetr_config(settings.pop("arch"), num_labels=num_labels, **settings)


def _derain_settings(derain: nn.Module, section: Mapping[str, Any]) -> dict[str, Any]:
    kind = type(derain).__name__
    if kind not in DERAIN_NECKS:
        raise ValueError(f"the de-rain neck must be one of {sorted(DERAIN_NECKS)}, got {kind}")
    options = {name: value for name, value in section.items() if name not in OWN_SETTINGS}
    return {"type": kind, **options}


def _load(
    model: PreTrainedModel, weights: Mapping[str, Tensor], prefixes: Mapping[str, str]
) -> None:
    # Second names of shared weights, which ours do without, are filled by the first ones.
    try:
        expected = model.state_dict()
        renamed = to_transformers_keys(weights, expected, prefixes)
        report = model.load_state_dict(renamed, strict=False)
        missing = [key for key in report.missing_keys if not is_second_name(key, expected)]
        if missing or report.unexpected_keys:
            raise RuntimeError(f"missing {missing}, unexpected {report.unexpected_keys}")
    except RuntimeError as error:
        reason = textwrap.shorten(str(error), 400)
        raise ValueError(f"the settings of the detector's parts do not agree: {reason}") from error


@torch.no_grad()
def _compare(detector: RTDETR, model: Any, image_size: tuple[int, int]) -> None:
    """Find settings that one part has and another should not have got."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, *image_size, generator=generator)
    outputs = model(image)
    for ours, theirs in zip(
        detector(image, mode="tensor"), (outputs.logits, outputs.pred_boxes), strict=True
    ):
        error = (ours - theirs).abs().max().item()
        if not error <= TOLERANCE:
            raise ValueError(
                f"the model of transformers would detect something else (logits or boxes differ "
                f"by up to {error:.2g}): give backbone, neck and bbox_head the same settings"
            )

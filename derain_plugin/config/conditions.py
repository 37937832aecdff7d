"""Test a model under the conditions of another config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from derain_plugin.config.loading import load_config

SHARED = ("data_root", "classes", "image_size")
TAKEN = ("test_dataloader", "test_evaluator")


def use_conditions(
    cfg: Config, filename: str | Path, cfg_options: dict[str, Any] | None = None
) -> None:
    """Replace ``test_dataloader`` and ``test_evaluator`` of ``cfg`` by those of ``filename``.

    ``configs/conditions/`` has such configs. Data, classes and the pipeline of the clean images
    stay those of ``cfg``; what is rainy is up to ``filename``, and to ``cfg_options``, which
    override both.

    Raises:
        ValueError: ``cfg`` has not the settings that carry over, or ``filename`` prepares rainy
            images in another way than clean ones, which would not compare.
    """
    options = cfg_options or {}
    missing = [name for name in SHARED if name not in cfg.get("settings", {})]
    if missing:
        raise ValueError(
            f"conditions take {', '.join(missing)} from the model's config, which has none: let it "
            "inherit configs/_base_/datasets/coco_rain_mix.py, or set its test_dataloader instead"
        )
    settings = {name: cfg[name] for name in SHARED}
    reached = {*cfg.settings, *TAKEN}
    overrides = {key: value for key, value in options.items() if key.partition(".")[0] in reached}
    conditions = load_config(filename, {**settings, **overrides})
    loader = conditions.test_dataloader
    cfg.test_dataloader = with_pipeline(
        loader, _clean_pipeline(cfg.test_dataloader), written=_clean_pipeline(loader)
    )
    cfg.test_evaluator = conditions.test_evaluator


def _clean_pipeline(loader: Config) -> list[dict]:
    dataset = loader.dataset
    return (dataset.datasets[0] if "datasets" in dataset else dataset).pipeline


def with_pipeline(section: Any, pipeline: Sequence[dict], *, written: Sequence[dict]) -> Any:
    """Copy a part of a config, with ``pipeline`` wherever ``written`` stands.

    Data sets of rendered rain have ``written`` with rain right behind its first step, the loading
    of the image; their copies have that rain behind the first step of ``pipeline``. So the data
    sets of ``configs/_base_/datasets/coco_rain_mix.py`` serve a detector with a pipeline of its
    own; ``configs/mmdet/`` has examples.

    Args:
        section: The config of a data loader, or whatever holds data sets.
        pipeline: Steps, the first of which loads the image.
        written: The steps that ``section`` was written with.

    Raises:
        ValueError: A data set has another pipeline than ``written``, with or without rain.
    """
    if isinstance(section, Mapping):
        return {
            key: _behind_rain(value, pipeline, written)
            if key == "pipeline"
            else with_pipeline(value, pipeline, written=written)
            for key, value in section.items()
        }
    if isinstance(section, list | tuple):
        return type(section)(with_pipeline(item, pipeline, written=written) for item in section)
    return section


def _behind_rain(
    steps: Sequence[dict], pipeline: Sequence[dict], written: Sequence[dict]
) -> list[dict]:
    end = len(steps) - len(written) + 1
    if [steps[0], *steps[max(end, 1) :]] != list(written):
        raise ValueError(
            f"a data set has the pipeline {list(steps)}, which is not {list(written)} with or "
            "without rain behind its first step: give it the latter, and rain"
        )
    return [pipeline[0], *steps[1:end], *pipeline[1:]]

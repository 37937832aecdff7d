"""Prepare pictures as another detector does, with the rain as before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def with_pipeline(section: Any, pipeline: Sequence[dict], *, written: Sequence[dict]) -> Any:
    """Copy a part of a config, with ``pipeline`` wherever ``written`` stands.

    Data sets of rendered rain have ``written`` with rain right behind its first step, the loading
    of the picture; their copies have that rain behind the first step of ``pipeline``. So the data
    sets of ``configs/_base_/datasets/coco_rain_mix.py`` serve a detector with a pipeline of its
    own; ``configs/mmdet/`` has examples.

    Args:
        section: The config of a data loader, or whatever holds data sets.
        pipeline: Steps, the first of which loads the picture.
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

"""Detectors of transformers from the hub or a folder: whole, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForObjectDetection, PreTrainedModel

DETECTORS = ("rt_detr", "rt_detr_v2", "d_fine")
"""transformers' ``model_type`` of the detectors that a de-rain module can clean features for."""


def load_pretrained(source: str, model_types: Sequence[str] = DETECTORS) -> PreTrainedModel:
    """Load a model, in eval mode and on the CPU.

    Args:
        source: A hub id, or a folder that ``save_pretrained`` wrote; ``~`` is expanded.
        model_types: What it may be.

    Raises:
        FileNotFoundError: Neither a folder nor a hub id that could be reached.
        ValueError: Another model, or weights that do not fill it.
    """
    folder = Path(source).expanduser()
    source = str(folder) if folder.is_dir() else source
    with _explained(source, OSError, ValueError):
        model_type = AutoConfig.from_pretrained(source).model_type
    if model_type not in model_types:
        needed = " or ".join(map(repr, model_types))
        raise ValueError(
            f"{source} holds a {model_type!r} model, but needed is {needed} "
            "(for example PekingU/rtdetr_r18vd)"
        )
    with _explained(source, OSError):
        model, report = AutoModelForObjectDetection.from_pretrained(
            source, output_loading_info=True
        )
    refuse_incomplete(source, report)
    return model


def refuse_incomplete(source: str, report: Mapping[str, Any]) -> None:
    """Raise ValueError if transformers' loading report tells of weights that were not loaded."""
    if report["missing_keys"] or report["mismatched_keys"]:
        raise ValueError(
            f"the weights of {source} do not fill the model its config.json describes: "
            f"missing {sorted(report['missing_keys'])}, "
            f"other shapes {sorted(report['mismatched_keys'])}"
        )


@contextmanager
def _explained(source: str, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise FileNotFoundError(
            f"{source} is no folder written by save_pretrained and no model id that the hub gave. "
            f"Offline? Download it where there is a network (`hf download {source} --local-dir "
            "rtdetr`) and name that folder, or fill the cache there and copy it (HF_HOME). "
            f"transformers said: {str(error).splitlines()[0]}"
        ) from error

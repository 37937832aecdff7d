"""Folders that ``from_pretrained`` loads: a model, and how its images are prepared."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from derain_plugin.files import partial_of


def write_hf_folder(model: PreTrainedModel, image_size: tuple[int, int], out: Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``preprocessor_config.json``.

    Args:
        model: A detector.
        image_size: Height and width to which images are resized, px.
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
    model.save_pretrained(partial)
    height, width = image_size
    processor = RTDetrImageProcessor(size=dict(height=height, width=width), do_normalize=False)
    processor.save_pretrained(partial)
    partial.rename(out)


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

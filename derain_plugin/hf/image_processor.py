"""How images are prepared for a detector of transformers, by its ``preprocessor_config.json``.

Whatever processor a folder names, ours reads it as an ``RTDetrImageProcessor``: that one needs no
torchvision, which RF-DETR's does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

NORMALISES = re.compile("(Rf|Deformable)?Detr")  # unless told otherwise: of RF-DETR and LW-DETR
IMAGENET: dict[str, Any] = dict(
    do_normalize=True, image_mean=IMAGENET_DEFAULT_MEAN, image_std=IMAGENET_DEFAULT_STD
)


def processor_settings(source: str) -> dict[str, Any]:
    """Return the settings of a folder's or hub id's image processor, with what it has by default.

    Raises:
        OSError: It has no ``preprocessor_config.json``.
    """
    settings, _ = ImageProcessingMixin.get_image_processor_dict(Path(source).expanduser())
    return _with_defaults(settings)


def load_processor(source: str) -> Any:
    """Load the image processor of a folder or hub id, for one image as for many.

    Raises:
        OSError: It has no ``preprocessor_config.json``.
    """
    # Not at the top: without torchvision transformers warns that it takes Pillow instead.
    from transformers import RTDetrImageProcessor

    return RTDetrImageProcessor.from_dict(processor_settings(source))


def processor_statistics(settings: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return mean and deviation of pixels 0-255, as mmdet's data preprocessor takes them.

    Args:
        settings: Of an image processor, as ``preprocessor_config.json`` has them.
    """
    settings = _with_defaults(settings)
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    mean, std = [0.0] * 3, [1.0] * 3
    if settings.get("do_normalize"):
        mean, std = settings["image_mean"], settings["image_std"]
    return dict(mean=[each / factor for each in mean], std=[each / factor for each in std])


def _with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    is_detr = NORMALISES.match(str(settings.get("image_processor_type")))
    return {**(IMAGENET if is_detr else {}), **settings}

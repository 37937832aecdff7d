"""An exported file in the place of a config's model, to be evaluated by mmengine's runner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor

from derain_plugin.apis.exported_model import load_exported


@MODELS.register_module()
class ExportedTestModel(BaseModel):
    """Predict by an exported file what its detector predicts.

    Args:
        path: ``.onnx`` or ``.xml``.

    Raises:
        FileNotFoundError, ImportError, ValueError: See :func:`load_exported`.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._exported = load_exported(path)

    def forward(
        self, inputs: list[Tensor], data_samples: SampleList, mode: str = "predict"
    ) -> SampleList:
        """Add ``pred_instances`` to the samples, boxes in px of the original images.

        Args:
            inputs: ``(3, H, W)`` uint8, resized by the pipeline.
            data_samples: With ``ori_shape``.
            mode: ``predict``; there is nothing to train.
        """
        images = np.stack([image.cpu().numpy() for image in inputs])
        found = self._exported(images, np.array([s.ori_shape[:2] for s in data_samples]))
        for sample, *arrays in zip(data_samples, *found, strict=True):
            boxes, scores, labels = map(torch.from_numpy, arrays)
            sample.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
        return data_samples

    def __deepcopy__(self, memo: dict) -> ExportedTestModel:
        """Return itself: EMAHook copies what is tested, and the libraries' objects have no copy."""
        return self


def use_exported(cfg: Config, path: str | Path) -> None:
    """Replace the model of ``cfg`` by an exported file, in place.

    Raises:
        FileNotFoundError, ImportError: See :func:`load_exported`.
        ValueError: Likewise, or the file has another number of classes or input size.
    """
    metadata = load_exported(path).metadata
    num_classes = (cfg.model.get("bbox_head") or {}).get("num_classes")
    if num_classes is not None and num_classes != len(metadata.classes):
        raise ValueError(
            f"{path} has {len(metadata.classes)} classes, the config {num_classes}: name the "
            f"config that it was exported with, {metadata.config}, with the same classes=..."
        )
    size = cfg.get("image_size")
    if size is not None and (size, size) != metadata.input_size:
        height, width = metadata.input_size
        raise ValueError(
            f"{path} takes images of {height} x {width} px (height x width), the config resizes "
            f"to {size} x {size}: set image_size={width}, or export it anew"
        )
    cfg.model = dict(type=ExportedTestModel.__name__, path=str(path))
    cfg.load_from = None

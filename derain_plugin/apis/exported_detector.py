"""An exported file as a detector: for single images, and as a config's model in a test."""

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

from derain_plugin.apis.base_predictor import BasePredictor
from derain_plugin.apis.exported_model import load_exported, resized
from derain_plugin.config.fillers import as_scale
from derain_plugin.datasets.label_map import advice, are_same, configured_classes, listed


class ExportedDetector(BasePredictor):
    """Detect by a file of ``tools/export.py``, on the CPU.

    Images are resized as mmcv's ``Resize`` does, so that it finds what the PyTorch model finds.

    Args:
        path: ``.onnx`` or ``.xml``.
        name: What people call it; default the file's name.
        threads: Of the CPU; default what the library takes.

    Attributes:
        name: Of the file, unless told otherwise.
        classes: Names by label.
        palette: As the config had it.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The library for it is not installed.
        ValueError: A file that ``tools/export.py`` did not write.
    """

    def __init__(
        self, path: str | Path, *, name: str | None = None, threads: int | None = None
    ) -> None:
        self._model = load_exported(path, threads=threads)
        metadata = self._model.metadata
        self.name = name or Path(path).name
        self.classes, self.palette = metadata.classes, metadata.palette
        self._size = metadata.input_size

    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found, as :class:`BasePredictor` says."""
        pixels = resized(image, self._size).transpose(2, 0, 1)
        found = self._model(pixels[None], np.array([image.shape[:2]]))
        boxes, scores, labels = (torch.from_numpy(array[0]) for array in found)
        return InstanceData(bboxes=boxes, scores=scores, labels=labels)


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
    """Replace the model of ``cfg`` itself by an exported file.

    Raises:
        FileNotFoundError, ImportError: See :func:`load_exported`.
        ValueError: Likewise, or the file has other classes or another input size.
    """
    metadata = load_exported(path).metadata
    classes, exported = configured_classes(cfg, ("test_dataloader",)), tuple(metadata.classes)
    if classes is not None and not are_same(classes, exported):
        raise ValueError(
            f"{path} has the classes {listed(exported)}, the config {listed(classes)}: name the "
            f"config that it was exported with, {metadata.config}. {advice(exported)}"
        )
    size = cfg.get("image_size")
    height, width = metadata.input_size
    if size is not None and as_scale(size) != (width, height):
        raise ValueError(
            f"{path} takes images of {width} x {height} px (width x height), the config resizes to "
            f"{' x '.join(map(str, as_scale(size)))}: set "
            f"image_size={width if width == height else (width, height)}, or export it anew"
        )
    cfg.model = dict(type=ExportedTestModel.__name__, path=str(path))
    cfg.load_from = None

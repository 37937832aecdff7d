"""A detector that was exported to a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData

from derain_plugin.apis.base_predictor import BaseDetector
from derain_plugin.apis.exported_model import load_exported, resized


class ExportedDetector(BaseDetector):
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
        """Return everything found, as :class:`BaseDetector` says."""
        pixels = resized(image, self._size).transpose(2, 0, 1)
        found = self._model(pixels[None], np.array([image.shape[:2]]))
        boxes, scores, labels = (torch.from_numpy(array[0]) for array in found)
        return InstanceData(bboxes=boxes, scores=scores, labels=labels)

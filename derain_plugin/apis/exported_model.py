"""An exported file, ready to run."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from pathlib import Path

import cv2
import numpy as np

from derain_plugin.apis.export_metadata import Metadata

Detections = tuple[np.ndarray, np.ndarray, np.ndarray]
RUNTIMES = {
    ".onnx": ("onnx_runtime", "OnnxRuntimeModel"),
    ".xml": ("openvino_runtime", "OpenVinoModel"),
}  # imported when they are needed: either library will do
INSTALL = "pip install 'derain_plugin[export]'"


class ExportedModel(ABC):
    """Detect in batches of resized images, on the CPU.

    Attributes:
        metadata: What the file says about itself.
        library: Name and version of what runs it.
    """

    def __init__(self, metadata: Metadata, *, library: str) -> None:
        self.metadata = metadata
        self.library = library

    def __call__(self, images: np.ndarray, original_sizes: np.ndarray) -> Detections:
        """Detect in any number of images; a file of a fixed batch takes them in portions.

        Args:
            images: ``(N, 3, H, W)`` uint8 of the input size, see :class:`DetectorGraph`.
            original_sizes: ``(N, 2)``, height and width before the resize, px.

        Returns:
            Boxes ``(N, K, 4)`` x1, y1, x2, y2 in px of the originals, scores ``(N, K)`` and labels
            ``(N, K)``.

        Raises:
            ValueError: The images do not have the input size.
        """
        size = self.metadata.input_size
        if images.shape[1:] != (3, *size):
            raise ValueError(
                f"this file was exported for images of {size[0]} x {size[1]} px (height x width),"
                f" got {' x '.join(map(str, images.shape[2:]))}"
            )
        sizes = np.asarray(original_sizes, dtype=np.int64)
        count = self.metadata.batch or len(images)
        found = [
            self._run_portion(images[start : start + count], sizes[start : start + count], count)
            for start in range(0, len(images), count)
        ]
        boxes, scores, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return boxes, scores, labels

    def _run_portion(self, images: np.ndarray, sizes: np.ndarray, count: int) -> Detections:
        missing = count - len(images)
        if missing:  # the last portion
            images, sizes = (np.concatenate([a, a[:1].repeat(missing, 0)]) for a in (images, sizes))
        boxes, scores, labels = self._run(np.ascontiguousarray(images), sizes)
        kept = count - missing
        return boxes[:kept], scores[:kept], labels[:kept]

    @abstractmethod
    def _run(self, images: np.ndarray, original_sizes: np.ndarray) -> Detections:
        """Run one batch of the file's own size."""


def is_exported(name: str | Path) -> bool:
    """Whether a name is that of an exported file."""
    return Path(name).suffix.lower() in RUNTIMES


def load_exported(path: str | Path, *, threads: int | None = None) -> ExportedModel:
    """Load ``.onnx`` into ONNX Runtime, ``.xml`` into OpenVINO.

    Args:
        path: The file.
        threads: Of the CPU; default what the library takes.

    Raises:
        FileNotFoundError: There is no such file, or of OpenVINO's pair only one.
        ImportError: The library is not installed.
        ValueError: A file that ``tools/export.py`` did not write.
    """
    path = Path(path)
    if not is_exported(path):
        raise ValueError(f"{path} is no exported file by its name: expected {', '.join(RUNTIMES)}")
    needed = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    for file in needed:
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
    module, name = RUNTIMES[path.suffix.lower()]
    try:
        kind = getattr(importlib.import_module(f"derain_plugin.apis.{module}"), name)
    except ImportError as error:
        raise ImportError(f"{path} needs a library that is not installed: {INSTALL}") from error
    return kind(path, threads=threads)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize ``(H, W, 3)`` to ``size``, height and width, as mmcv's ``Resize`` does."""
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)

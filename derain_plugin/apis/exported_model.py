"""Exported files: what they say about themselves, and how ONNX Runtime and OpenVINO run them."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from mmengine.config import Config

Detections = tuple[np.ndarray, np.ndarray, np.ndarray]
METADATA_KEY = "derain_plugin"
INPUT_NAMES = ["images", "original_sizes"]
OUTPUT_NAMES = ["boxes", "scores", "labels"]
INSTALL = "pip install 'derain_plugin[export]'"
# What is not named computes in fp32, where OpenVINO itself would take bf16 if the CPU has it.
OPENVINO_PRECISIONS = {"bf16": "bf16"}


@dataclass(frozen=True)
class Metadata:
    """Where a file comes from and how to use it; stored as JSON under ``METADATA_KEY``.

    Attributes:
        classes: Names by label.
        palette: RGB colours by label, or a name that mmdet knows.
        input_size: Height and width of the network's input, px.
        batch: Images at once; None for any number.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        derain: Class name of the de-rain neck, None without one.
        config: File name of the config.
        config_hash: SHA-256 of the config with its overrides, see :func:`config_hash`.
        checkpoint: As the command line named it; None for random weights.
        plugin_version: Of this package.
    """

    classes: tuple[str, ...]
    palette: Any
    input_size: tuple[int, int]
    batch: int | None
    precision: str
    derain: str | None
    config: str
    config_hash: str
    checkpoint: str | None
    plugin_version: str

    def to_json(self) -> str:
        """Return the text to store."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None, *, source: object) -> Metadata:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: ``source``, the file, has no such text.
        """
        try:
            content = json.loads(text or "")
            tuples: dict[str, Any] = {
                name: tuple(content[name]) for name in ("classes", "input_size")
            }
            if isinstance(content["palette"], list):
                tuples["palette"] = [tuple(colour) for colour in content["palette"]]
            return cls(**{**content, **tuples})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{source} has no metadata of derain_plugin, or of another version: write it with "
                "tools/export.py"
            ) from error


def config_hash(cfg: Config) -> str:
    """Return the SHA-256 of a config's values, whatever its layout and the order of its keys."""
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


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


class OnnxRuntimeModel(ExportedModel):
    """An ``.onnx`` file in ONNX Runtime, on the CPU; see :func:`load_exported`."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: as many as cores
        options.log_severity_level = 3  # errors; it warns of casts that it adds itself
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except (states.Fail, states.InvalidProtobuf, states.InvalidGraph) as error:
            raise ValueError(f"{path} is no ONNX file that ONNX Runtime takes: {error}") from error
        stored = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        library = f"ONNX Runtime {onnxruntime.__version__}"
        super().__init__(Metadata.from_json(stored, source=path), library=library)

    def _run(self, images: np.ndarray, original_sizes: np.ndarray) -> Detections:
        inputs = dict(zip(INPUT_NAMES, (images, original_sizes), strict=True))
        boxes, scores, labels = self._session.run(OUTPUT_NAMES, inputs)
        return boxes, scores, labels


class OpenVinoModel(ExportedModel):
    """An ``.xml`` file, with its ``.bin``, in OpenVINO on the CPU; see :func:`load_exported`."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import openvino

        core = openvino.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise ValueError(f"{path} is no file that OpenVINO reads: {error}") from error
        has_metadata = model.has_rt_info([METADATA_KEY])
        stored = model.get_rt_info([METADATA_KEY]).astype(str) if has_metadata else None
        library = f"OpenVINO {openvino.__version__.partition('-')[0]}"
        super().__init__(Metadata.from_json(stored, source=path), library=library)
        options: dict[str, Any] = dict(
            INFERENCE_PRECISION_HINT=OPENVINO_PRECISIONS.get(self.metadata.precision, "f32"),
            PERFORMANCE_HINT="LATENCY",
        )
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._request = core.compile_model(model, "CPU", options).create_infer_request()

    def _run(self, images: np.ndarray, original_sizes: np.ndarray) -> Detections:
        # Copies: the next call writes to the same memory.
        boxes, scores, labels = (
            np.array(output) for output in self._request.infer([images, original_sizes]).values()
        )
        return boxes, scores, labels


RUNTIMES: dict[str, type[OnnxRuntimeModel | OpenVinoModel]] = {
    ".onnx": OnnxRuntimeModel,
    ".xml": OpenVinoModel,
}


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
    try:
        return RUNTIMES[path.suffix.lower()](path, threads=threads)
    except ImportError as error:
        raise ImportError(f"{path} needs a library that is not installed: {INSTALL}") from error


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize ``(H, W, 3)`` to ``size``, height and width, as mmcv's ``Resize`` does."""
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)

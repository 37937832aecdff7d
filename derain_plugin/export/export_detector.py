"""Write a detector to a file and verify the file on images."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from derain_plugin.apis.detector import Detector
from derain_plugin.apis.exported_detector import ExportedDetector
from derain_plugin.apis.exported_model import Metadata, config_hash, resized
from derain_plugin.export.conversion import quantized, save, to_onnx, to_openvino
from derain_plugin.export.detector_graph import DetectorGraph, check_exportable
from derain_plugin.export.verification import TOLERANCES, Agreement, compare
from derain_plugin.files import not_written, partial_of
from derain_plugin.version import __version__

PRECISIONS = {"onnx": ("fp32", "fp16"), "openvino": ("fp32", "fp16", "bf16", "int8")}
STRIDE = 32  # px, of the coarsest level
SHOWN = 5  # differences in a message


class DisagreementError(Exception):
    """The exported detector does not find what the PyTorch model finds.

    Attributes:
        agreement: How far it does.
    """

    def __init__(self, agreement: Agreement, precision: str) -> None:
        shown = list(agreement.differences[:SHOWN])
        if hidden := len(agreement.differences) - len(shown):
            shown.append(f"and {hidden} more")
        super().__init__(
            f"the exported detector does not find what the PyTorch model finds: {agreement} "
            f"({precision} allows {TOLERANCES[precision]})\n  " + "\n  ".join(shown)
        )
        self.agreement = agreement


@dataclass(frozen=True)
class Export:
    """What to write.

    Attributes:
        format: ``onnx`` or ``openvino``.
        precision: One of ``PRECISIONS`` of that format. ``fp16``: backbone and neck in fp16
            (ONNX), or weights stored in fp16 (OpenVINO). ``bf16``: computed in bf16. ``int8``:
            convolutions quantised after training.
        batch: Images at once; None for any number.

    Raises:
        ValueError: A format, precision or batch that cannot be.
    """

    format: str
    precision: str = "fp32"
    batch: int | None = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.format not in PRECISIONS:
            raise ValueError(f"format must be one of {', '.join(PRECISIONS)}, got {self.format!r}")
        if self.precision not in PRECISIONS[self.format]:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS[self.format])} for {self.format}, "
                f"got {self.precision!r}"
            )
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")


def export_detector(
    detector: Detector,
    out: Path,
    export: Export,
    *,
    checkpoint: str | None,
    images: Mapping[str, np.ndarray],
    calibration: Sequence[np.ndarray] = (),
    log: Callable[[str], object] = print,
) -> Agreement | None:
    """Write a detector to a file, and keep it only if it finds the same.

    The file is written and tried out in a folder beside ``out``, so that nothing bad or unfinished
    is ever called ``out``.

    Args:
        detector: On the CPU.
        out: ``.onnx``, or ``.xml`` which gets a ``.bin`` beside it; replaced if it exists.
        export: Format, precision and batch.
        checkpoint: Where the weights are from, for the metadata; None for random ones, which are
            not compared: among so many equal scores it is chance which queries are chosen.
        images: To try it out on, by name: ``(H, W, 3)`` uint8, BGR.
        calibration: Likewise, for int8.
        log: Gets a line of progress at a time.

    Returns:
        How well it agrees with the PyTorch model; None if that was not looked at.

    Raises:
        DisagreementError: It finds something else, within ``TOLERANCES`` of its precision.
        OSError: There is no room for the file, say.
        ValueError: The detector or its pipeline cannot be exported, or there are no images.
    """
    check_exportable(detector.model)
    if not images:
        raise ValueError("an export is tried out on images, and there are none")
    metadata = _describe(detector, export, checkpoint, next(iter(images.values())))
    folder = partial_of(out)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        log(f"trace and convert, {metadata.input_size[0]} x {metadata.input_size[1]} px")
        _write(detector, folder / out.name, export, metadata, calibration)
        exported = ExportedDetector(folder / out.name)
        agreement = None
        if checkpoint is not None:
            log(f"compare on {len(images)} images")
            tolerance = TOLERANCES[export.precision]
            agreement = compare(detector.detect, exported.detect, images, tolerance)
            if agreement.matched < tolerance.matched * agreement.compared:
                raise DisagreementError(agreement, export.precision)
        out.unlink(missing_ok=True)  # never an old .xml beside a new .bin
        for file in sorted(folder.iterdir()):  # .bin before .xml
            os.replace(file, out.with_name(file.name))
    except OSError as error:
        raise not_written(error, out) from error
    finally:
        shutil.rmtree(folder)
    return agreement


def _describe(
    detector: Detector, export: Export, checkpoint: str | None, image: np.ndarray
) -> Metadata:
    derain = getattr(detector.model.neck, "derain", None)
    return Metadata(
        classes=detector.classes,
        palette=detector.palette,
        input_size=_input_size(detector, image),
        batch=export.batch,
        precision=export.precision,
        derain=type(derain).__name__ if derain is not None else None,
        config=Path(detector.cfg.filename).name,
        config_hash=config_hash(detector.cfg),
        checkpoint=checkpoint,
        plugin_version=__version__,
    )


def _input_size(detector: Detector, image: np.ndarray) -> tuple[int, int]:
    """Find out what the pipeline resizes to, and that it does nothing else."""
    height, width = detector.prepare(image).shape[1:]
    for sample in (image, np.ascontiguousarray(image.transpose(1, 0, 2))):
        expected = resized(sample, (height, width)).transpose(2, 0, 1)
        if not np.array_equal(detector.prepare(sample).numpy(), expected):
            raise ValueError(
                "only test pipelines that do nothing but resize every image to one size can be "
                "exported: Resize(scale=(width, height), keep_ratio=False), bilinear"
            )
    multiple = math.lcm(STRIDE, detector.model.data_preprocessor.pad_size_divisor)
    if height % multiple or width % multiple:
        raise ValueError(
            f"the test pipeline resizes to {height} x {width} px: both must be multiples of "
            f"{multiple}; set image_size=..."
        )
    return height, width


def _write(
    detector: Detector,
    file: Path,
    export: Export,
    metadata: Metadata,
    calibration: Sequence[np.ndarray],
) -> None:
    is_half = export.format == "onnx" and export.precision == "fp16"
    model = to_onnx(DetectorGraph(detector.model, half=is_half), metadata)
    if export.format == "onnx":
        onnx.save(model, file)
        return
    converted = to_openvino(model, metadata)
    if export.precision == "int8":
        converted = quantized(converted, calibration, metadata)
    save(converted, file, half=export.precision == "fp16")

"""OpenVINO's files by OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino

from derain_plugin.apis.export_metadata import METADATA_KEY, Metadata
from derain_plugin.apis.exported_model import Detections, ExportedModel

# What is not named computes in fp32, where OpenVINO itself would take bf16 if the CPU has it.
COMPUTE_TYPES = {"bf16": "bf16"}


class OpenVinoModel(ExportedModel):
    """An ``.xml`` file, with the ``.bin`` beside it, on the CPU; see :func:`load_exported`."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
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
            INFERENCE_PRECISION_HINT=COMPUTE_TYPES.get(self.metadata.precision, "f32"),
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

"""ONNX files by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from derain_plugin.apis.export_metadata import METADATA_KEY, Metadata
from derain_plugin.apis.exported_model import Detections, ExportedModel
from derain_plugin.export.detector_graph import INPUT_NAMES, OUTPUT_NAMES


class OnnxRuntimeModel(ExportedModel):
    """An ``.onnx`` file on the CPU; see :func:`load_exported`."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
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
        given = dict(zip(INPUT_NAMES, (images, original_sizes), strict=True))
        boxes, scores, labels = self._session.run(OUTPUT_NAMES, given)
        return boxes, scores, labels

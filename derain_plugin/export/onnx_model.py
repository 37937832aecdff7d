"""A detector as an ONNX model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch

from derain_plugin.apis.export_metadata import METADATA_KEY, Metadata
from derain_plugin.export.detector_graph import INPUT_NAMES, OUTPUT_NAMES, DetectorGraph
from derain_plugin.export.quiet import quiet

OPSET = 18  # grid_sample needs 16; torch's exporter writes 18


def to_onnx(graph: DetectorGraph, metadata: Metadata) -> onnx.ModelProto:
    """Trace a detector and return it with its metadata, in standard operators only.

    Args:
        graph: What to trace.
        metadata: Says for which input size and batch.
    """
    is_dynamic = metadata.batch is None
    # One image alone would be traced as if there were always one.
    count = 2 if metadata.batch is None else metadata.batch
    images = torch.zeros(count, 3, *metadata.input_size, dtype=torch.uint8)
    example = images, torch.tensor([metadata.input_size] * count)
    axes = {0: torch.export.Dim("batch")} if is_dynamic else None
    with _quiet(), _without_checks():
        # strict: otherwise transformers' len(tensor) fixes the batch.
        program = torch.export.export(
            graph, example, dynamic_shapes=(axes, axes) if is_dynamic else None, strict=is_dynamic
        )
        exported: Any = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, verbose=False,
            input_names=INPUT_NAMES, output_names=OUTPUT_NAMES,
        )  # fmt: skip
    model = exported.model_proto
    _forget_source(model)
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    return model


def _forget_source(model: onnx.ModelProto) -> None:
    """Remove the stack traces of all nodes, which name files of this machine."""
    for item in (*model.graph.node, *model.graph.value_info, model.graph):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")


@contextmanager
def _without_checks() -> Iterator[None]:
    """Leave out transformers' checks of shapes, which ONNX has no operator for."""
    name = "TRANSFORMERS_DISABLE_TORCH_CHECK"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter says about torchvision and about its own deprecations."""
    with quiet("torch.onnx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""A detector's graph as an ONNX or an OpenVINO model, also in eight bits."""

from __future__ import annotations

import errno
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
import openvino
import torch

from derain_plugin.apis.exported_model import (
    INPUT_NAMES,
    METADATA_KEY,
    OUTPUT_NAMES,
    Metadata,
    resized,
)
from derain_plugin.export.detector_graph import DetectorGraph

OPSET = 18  # grid_sample needs 16; torch's exporter writes 18
QUANTISED = {"Convolution", "GroupConvolution"}


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
    with _only_errors("torch.onnx"), warnings.catch_warnings(), _without_checks():
        # The exporter warns of torchvision and of its own deprecations.
        warnings.simplefilter("ignore")
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


def to_openvino(model: onnx.ModelProto, metadata: Metadata) -> openvino.Model:
    """Convert an ONNX model, and store the metadata where OpenVINO's format has it."""
    converted = openvino.Core().read_model(model.SerializeToString())
    converted.set_rt_info(metadata.to_json(), [METADATA_KEY])
    return converted


def quantized(
    model: openvino.Model, images: Sequence[np.ndarray], metadata: Metadata
) -> openvino.Model:
    """Quantise the convolutions to eight bits, with the ranges that images give (NNCF).

    Nearly all of the work is in them. Whatever else NNCF would quantise stays in fp32: sums and
    products of the decoder, where boxes are refined step by step, cost several points of AP.

    Args:
        model: Of any batch.
        images: ``(H, W, 3)`` uint8, BGR, like those to come, rain included.
        metadata: Of the model.

    Raises:
        ValueError: There are no images.
    """
    if not images:
        raise ValueError("int8 needs images to calibrate with")
    count = metadata.batch or 1

    def as_input(image: np.ndarray) -> list[np.ndarray]:
        pixels = resized(image, metadata.input_size).transpose(2, 0, 1)
        return [pixels[None].repeat(count, 0), np.array([image.shape[:2]] * count)]

    kinds = {operation.get_type_name() for operation in model.get_ops()}
    with _only_errors("nncf"):  # it tells of every layer
        return nncf.quantize(
            model,
            nncf.Dataset(images, as_input),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(types=sorted(kinds - QUANTISED), validate=False),
        )


def save(model: openvino.Model, file: Path, *, half: bool) -> None:
    """Write ``file`` (.xml) and the .bin beside it; ``half``: weights in fp16.

    Raises:
        OSError: They cannot be written. OpenVINO does not say why.
    """
    try:
        openvino.save_model(model, file, compress_to_fp16=half)
    except RuntimeError as error:
        reason = f"OpenVINO cannot write ({error}); most likely the disk is full"
        raise OSError(errno.ENOSPC, reason, str(file)) from error


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """Let a logger tell of errors alone; its handlers, which others share, keep their level."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

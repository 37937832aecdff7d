"""A detector as an OpenVINO model, also in eight bits."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import nncf
import numpy as np
import onnx
import openvino

from derain_plugin.apis.export_metadata import METADATA_KEY, Metadata
from derain_plugin.apis.exported_model import resized
from derain_plugin.export.quiet import quiet

QUANTISED = {"Convolution", "GroupConvolution"}


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
    with quiet("nncf"):  # it tells of every layer
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

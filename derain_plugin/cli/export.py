"""Detectors as files for other runtimes: the command line of ``tools/export.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.arguments import add_adapter, add_cfg_options, parse_cfg_options
from derain_plugin.cli.work import working
from derain_plugin.files import partial_of

if TYPE_CHECKING:
    from torch import nn

DESCRIPTION = """\
Write a detector to a file for ONNX Runtime, TensorRT (both --format onnx) or OpenVINO: from uint8
pixels to boxes in pixels of the original images, scores and labels. BatchNorm and RepVGG branches
are fused into convolutions. The file is then tried out on real images beside the PyTorch model,
and kept only if it finds the same.
"""
EPILOG = """\
Inputs:   images (N, 3, H, W) uint8, BGR, resized (bilinear, ratio not kept); original_sizes (N, 2)
          int64, height and width before that.
Outputs:  boxes (N, K, 4) x1, y1, x2, y2; scores (N, K), descending; labels (N, K).

Precisions:
  fp32    allowed difference 0.5 px, score 0.001, for all detections that score 0.05 or more
  fp16    onnx: backbone and neck in fp16; openvino: weights stored in fp16, half the file
  bf16    openvino: computes in bf16, on CPUs that can
  int8    openvino: convolutions in 8 bits after calibration. What it costs in AP:
          python tools/test.py CONFIG FILE.xml

Exit codes: 0 written; 1 an error, or it finds something else, and nothing is left; 2 wrong options.

Examples:
  python tools/export.py configs/rtdetr_r18_featderain_ms.py epoch_15.pth \\
      --format openvino --out derained.xml
  python tools/infer.py derained.xml street.jpg --out-dir seen
"""
NUM_COMPARED = 8
NUM_CALIBRATION = 128


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to write and where."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file of an RT-DETR, with or without a de-rain neck")
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help="a file, or hf:// with a hub id or a save_pretrained folder; without one weights are "
        "random, for timing, and nothing is compared",
    )
    parser.add_argument("--format", choices=["onnx", "openvino"], required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="file: .onnx, or .xml, which gets a .bin beside it"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file")
    parser.add_argument(
        "--precision",
        choices=["fp32", "fp16", "bf16", "int8"],
        default="fp32",
        help="default %(default)s; onnx has fp32 and fp16",
    )
    parser.add_argument(
        "--batch", type=_batch, default=1, help="images at once: a number, or dynamic; default 1"
    )
    parser.add_argument(
        "--images",
        type=Path,
        help=f"folder of images, {NUM_COMPARED} to compare on and up to {NUM_CALIBRATION} for "
        "int8, which should look like those to come; default the config's test images if they are "
        "there, else photographs of scikit-image",
    )
    add_adapter(parser)
    add_cfg_options(parser)
    args = parser.parse_args(arguments)
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[args.format]
    if args.out.suffix != suffix:
        parser.error(f"--out must end in {suffix} for --format {args.format}, got {args.out}")
    if args.adapter and args.checkpoint is None:
        parser.error("--adapter needs the checkpoint that it was trained for")
    if args.format == "onnx" and args.precision in ("bf16", "int8"):
        parser.error(
            f"--precision {args.precision} goes with --format openvino; for TensorRT see "
            "docs/deployment.md"
        )
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Export as the command line says."""
    args = parse_args(arguments)
    with working():
        _export(args)


def _export(args: argparse.Namespace) -> None:
    from derain_plugin.apis import Detector
    from derain_plugin.apis.exported_model import INSTALL
    from derain_plugin.export.calibration_images import read_images, spread

    try:
        from derain_plugin.export.export_detector import (
            DisagreementError,
            Export,
            export_detector,
        )
    except ImportError as error:
        sys.exit(f"error: {error}: {INSTALL}")
    try:
        _refuse_existing(args)
        detector = Detector(
            args.config, args.checkpoint, device="cpu", cfg_options=args.cfg_options,
            adapter=args.adapter,
        )  # fmt: skip
        if args.checkpoint is None:
            print("no checkpoint: random weights, for timing alone, not compared", file=sys.stderr)
            _shake(detector.model)
        count = NUM_CALIBRATION if args.precision == "int8" else NUM_COMPARED
        images = read_images(args.images, detector.dataset, count=count)
        agreement = export_detector(
            detector,
            args.out,
            Export(args.format, args.precision, args.batch),
            checkpoint=args.checkpoint,
            images=dict(spread(list(images.items()), NUM_COMPARED)),
            calibration=list(images.values()),
        )
    except (ValueError, OSError, ImportError, DisagreementError) as error:
        sys.exit(f"error: {error}")
    print(*([agreement] if agreement else []), args.out, sep="\n")


def _batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, or dynamic, got {text}")
    return int(text)


def _refuse_existing(args: argparse.Namespace) -> None:
    files = [args.out]
    # A .bin beside what a killed export left behind is that export's.
    if args.format == "openvino" and not partial_of(args.out).exists():
        files.append(args.out.with_suffix(".bin"))
    for file in files:
        if file.exists() and not args.overwrite:
            raise ValueError(f"{file} exists: choose another name, or --overwrite")


def _shake(model: nn.Module) -> None:
    """Move all weights: a fresh neck's blend weights are zero, and it could be folded away."""
    import torch

    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.02)

"""Take a detector to transformers: the command line of ``tools/export_hf.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.cli.arguments import add_cfg_options, parse_cfg_options
from derain_plugin.cli.work import working

DESCRIPTION = """\
Turn an RT-DETR that was trained here into a folder for transformers' from_pretrained. With a
de-rain neck it is one of derain_plugin.hf.FeatureDerainRTDetr, otherwise of
RTDetrForObjectDetection, which needs no plugin. Weights are those that tools/test.py tests: with
EMAHook, the averages. Both detectors are compared on an image before anything is written.
"""
EPILOG = """\
The folder is also a checkpoint for the same config: hf://FOLDER. Its image processor resizes with
Pillow or torchvision, which antialias; mmdet resizes with OpenCV, so detections in the same file
differ a little.

Example:
  python tools/export_hf.py configs/rtdetr_r18_featderain_ms.py \\
      work_dirs/rtdetr_r18_featderain_ms/epoch_15.pth rtdetr_r18_featderain_ms
and then in Python:
  from derain_plugin.hf import FeatureDerainRTDetr
  model = FeatureDerainRTDetr.from_pretrained("rtdetr_r18_featderain_ms")
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to export, and where to."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file of an RTDETR")
    parser.add_argument(
        "checkpoint", help="a file, or hf:// with a hub id or a save_pretrained folder"
    )
    parser.add_argument("out", type=Path, help="folder to write; an existing one is refused")
    add_cfg_options(parser)
    args = parser.parse_args(arguments)
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Export as the command line says."""
    args = parse_args(arguments)
    if args.out.exists():
        sys.exit(f"{args.out} exists. Remove it, or name another folder.")
    with working():
        _export(args)


def _export(args: argparse.Namespace) -> None:
    from derain_plugin.apis import Detector
    from derain_plugin.hf.to_transformers import (
        image_size_of,
        normalisation_of,
        to_transformers,
        write_hf_folder,
    )

    try:
        detector = Detector(
            args.config, args.checkpoint, device="cpu", cfg_options=args.cfg_options
        )
        size = image_size_of(detector.dataset["pipeline"])
        model = to_transformers(detector.model, detector.classes, size)
        normalisation = normalisation_of(detector.model)
        write_hf_folder(model, size, args.out, normalisation=normalisation)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(
        f"{args.out}: {type(model).__name__}, {model.num_parameters():,} parameters, "
        f"{len(detector.classes)} classes, images of {size[1]} x {size[0]} px"
    )

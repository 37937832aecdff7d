"""Evaluate a detector on clean and rainy images: the command line of ``tools/test.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from derain_plugin.cli.arguments import build_parser, config_from, is_first_process
from derain_plugin.datasets.coco_check import check_datasets


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse mmdet's testing options."""
    parser = build_parser(
        "Evaluate a checkpoint on clean and rainy images and print the gap.",
        "python tools/test.py configs/rtdetr_r18_coco.py hf://PekingU/rtdetr_r18vd",
    )
    parser.add_argument(
        "checkpoint", help="a file, or hf:// with a hub id or a save_pretrained folder"
    )
    parser.add_argument("--out", help="write all predictions to this .pkl file")
    parser.add_argument("--show", action="store_true", help="show predictions in a window")
    parser.add_argument(
        "--show-dir", help="save painted images here, under <work dir>/<timestamp>/"
    )
    parser.add_argument(
        "--wait-time", type=float, default=2, help="seconds that --show holds an image"
    )
    args = parser.parse_args(arguments)
    if args.out is not None and not args.out.endswith((".pkl", ".pickle")):
        parser.error(f"--out must end in .pkl or .pickle, got {args.out}")
    return args


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Evaluate as the command line says, and return the metrics."""
    args = parse_args(arguments)
    setup_cache_size_limit_of_dynamo()
    cfg = config_from(args)
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        cfg = trigger_visualization_hook(cfg, args)
    if is_first_process():
        check_datasets(cfg, ("test_dataloader",))
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    return runner.test()

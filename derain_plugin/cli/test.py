"""Evaluate a detector on clean and rainy images: the command line of ``tools/test.py``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.arguments import (
    add_adapter,
    build_parser,
    config_from,
    is_first_process,
    parse_cfg_options,
)
from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from derain_plugin.adapting.adapter import AdapterHook
    from derain_plugin.engine.hooks import RainMaskSavingHook


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse mmdet's testing options."""
    parser = build_parser(
        "Evaluate a detector on clean images and in rain of severities 1-5, and print what rain\n"
        "costs. The work dir gets the table as robustness.json, for tools/plot_robustness.py.\n"
        "A restorer is scored by the PSNR and SSIM that it gains; it takes fewer options.",
        "python tools/test.py configs/rtdetr_r18_coco.py hf://PekingU/rtdetr_r18vd",
    )
    parser.add_argument(
        "checkpoint",
        help="a file, hf:// with a hub id or a save_pretrained folder, or what tools/export.py "
        "wrote: .onnx or .xml",
    )
    parser.add_argument(
        "--conditions",
        metavar="CONFIG",
        help="other rain: test on the data of this config, such as configs/conditions/real_rain.py",
    )
    parser.add_argument("--out", help="write all predictions to this .pkl file")
    parser.add_argument("--show", action="store_true", help="show predictions in a window")
    parser.add_argument(
        "--show-dir", help="save painted images here, under <work dir>/<timestamp>/"
    )
    parser.add_argument(
        "--show-masks",
        action="store_true",
        help="with --show-dir: also save where the de-rain neck sees rain, for every condition",
    )
    parser.add_argument(
        "--wait-time", type=float, default=2, help="seconds that --show holds an image"
    )
    add_adapter(parser)
    args = parser.parse_args(arguments)
    if args.out is not None and not args.out.endswith((".pkl", ".pickle")):
        parser.error(f"--out must end in .pkl or .pickle, got {args.out}")
    if args.show_masks and args.show_dir is None:
        parser.error("--show-masks needs --show-dir, the folder for its images")
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Evaluate as the command line says, and return the metrics."""
    args = parse_args(arguments)
    with working():
        from derain_plugin.datasets.kept_files import files_kept

        with files_kept():
            return _test(args, _config(args))


def _config(args: argparse.Namespace) -> Config:
    from mmdet.engine.hooks.utils import trigger_visualization_hook

    from derain_plugin.apis.exported_model import is_exported
    from derain_plugin.config.conditions import use_conditions

    cfg = config_from(args)
    cfg.load_from = args.checkpoint
    if _trains_restorer(cfg):
        _refuse_detector_options(args)
    elif is_exported(args.checkpoint):
        if args.adapter:
            sys.exit(f"error: --adapter goes with a checkpoint, got {args.checkpoint}")
        _use_exported(cfg, args.checkpoint)
    if args.conditions is not None:
        use_conditions(cfg, args.conditions, args.cfg_options)
    if args.show or args.show_dir:
        cfg = trigger_visualization_hook(cfg, args)
    return cfg


def _test(args: argparse.Namespace, cfg: Config) -> dict[str, float]:
    from mmdet.utils import setup_cache_size_limit_of_dynamo
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from derain_plugin.datasets.checks.coco_check import check_datasets
    from derain_plugin.datasets.label_map import configured_classes
    from derain_plugin.engine.hooks import ForgetFilesHook, LabelMapHook
    from derain_plugin.evaluation import CleanRainEvaluator
    from derain_plugin.evaluation.saved_predictions import DumpNamedResults
    from derain_plugin.models import leave_padding_out

    setup_cache_size_limit_of_dynamo()
    if is_first_process():
        check_datasets(cfg, ("test_dataloader",))
    hook = _use_adapter(cfg, args.adapter) if args.adapter else None
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    LabelMapHook.register(runner)
    runner.register_hook(ForgetFilesHook())
    if hook is not None:
        runner.register_hook(hook)
    if cfg.get("leave_padding_out"):
        leave_padding_out(runner.model)
    if args.out is not None:
        classes = configured_classes(cfg, ("test_dataloader",))
        dump = DumpNamedResults(classes, out_file_path=args.out)
        runner.test_evaluator.metrics.append(dump)
    if args.show_masks:
        runner.register_hook(_mask_saving_hook(runner, args.show_dir))
    metrics = runner.test()
    if is_first_process() and isinstance(runner.test_evaluator, CleanRainEvaluator):
        _leave_report(runner, args)
    return metrics


def _use_adapter(cfg: Config, folder: str) -> AdapterHook:
    from derain_plugin.adapting.adapter import use_adapter

    try:
        return use_adapter(cfg, folder)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _use_exported(cfg: Config, path: str) -> None:
    from derain_plugin.apis.exported_detector import use_exported

    try:
        use_exported(cfg, path)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")


def _trains_restorer(cfg: Config) -> bool:
    from mmdet.registry import MODELS

    from derain_plugin.models import SupervisedRestorer

    kind = cfg.model.type
    if isinstance(kind, str):
        kind = MODELS.get(kind)
    return isinstance(kind, type) and issubclass(kind, SupervisedRestorer)


def _refuse_detector_options(args: argparse.Namespace) -> None:
    for name in ("adapter", "conditions", "out", "show", "show_dir", "show_masks"):
        if getattr(args, name):
            sys.exit(f"--{name.replace('_', '-')} is for detectors; {args.config} has a restorer")


def _mask_saving_hook(runner: Runner, show_dir: str) -> RainMaskSavingHook:
    from derain_plugin.engine.hooks import RainMaskSavingHook
    from derain_plugin.visualization import RainMaskRecorder

    try:
        RainMaskRecorder(runner.model)
    except ValueError as error:
        sys.exit(f"--show-masks: {error}")
    return RainMaskSavingHook(show_dir)


def _leave_report(runner: Runner, args: argparse.Namespace) -> None:
    from derain_plugin.cli.machine import describe_machine
    from derain_plugin.rain import RENDERER_VERSION

    report = dict(
        title=Path(args.config).stem,
        config=args.config,
        checkpoint=args.checkpoint,
        adapter=args.adapter,
        conditions_from=args.conditions,
        **runner.test_evaluator.report,
        renderer_version=RENDERER_VERSION,
        **describe_machine(),
    )
    path = Path(runner.log_dir, "robustness.json")
    atomic_write(path, json.dumps(report, indent=1))
    print(path)

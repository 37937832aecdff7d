"""Train a detector, or a restorer: the command line of ``tools/train.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.arguments import (
    build_parser,
    config_from,
    is_first_process,
    parse_cfg_options,
)
from derain_plugin.cli.work import working
from derain_plugin.files import NO_ROOM

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse mmdet's training options."""
    parser = build_parser(
        "Train a detector, in the phases that its config names, or a restorer.",
        "python tools/train.py configs/rtdetr_r18_featderain_ms.py --cfg-options synthetic_rain=3",
    )
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision: fp16 on CUDA, bf16 on CPU"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale learning rates by the real batch size over auto_scale_lr.base_batch_size",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="continue from CHECKPOINT, or from the latest in the work dir, if there is one",
    )
    args = parser.parse_args(arguments)
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    args = parse_args(arguments)
    with working():
        from derain_plugin.datasets.kept_files import files_kept

        with files_kept():
            _train(args)


def _train(args: argparse.Namespace) -> None:
    from mmdet.utils import setup_cache_size_limit_of_dynamo
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from derain_plugin.datasets.checks.coco_check import check_datasets
    from derain_plugin.engine.hooks import ForgetFilesHook, LabelMapHook
    from derain_plugin.engine.optim_wrappers import enable_amp

    setup_cache_size_limit_of_dynamo()
    cfg = config_from(args)
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        _enable_auto_scale_lr(cfg)
    _set_resume(cfg, args.resume)
    if is_first_process():
        check_datasets(cfg, ("train_dataloader", "val_dataloader"))
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    LabelMapHook.register(runner)
    runner.register_hook(ForgetFilesHook())
    try:
        runner.train()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        message = f"the disk of {cfg.work_dir} is full: make room, then continue with --resume"
        raise OSError(error.errno, message, error.filename) from error


def _enable_auto_scale_lr(cfg: Config) -> None:
    if "base_batch_size" not in cfg.get("auto_scale_lr", {}):
        raise ValueError("--auto-scale-lr needs auto_scale_lr.base_batch_size in the config")
    cfg.auto_scale_lr.enable = True


def _set_resume(cfg: Config, resume: str | None) -> None:
    marker = Path(cfg.work_dir, "last_checkpoint")
    if resume is None:
        if marker.is_file() and not cfg.get("resume"):
            raise ValueError(
                f"{cfg.work_dir} already holds {marker.read_text().strip()}, which a new run would "
                "overwrite: continue it with --resume, or choose another --work-dir"
            )
    elif resume != "auto" or marker.is_file():
        cfg.resume = True
        cfg.load_from = _moved_checkpoint(marker) if resume == "auto" else resume
    # Else the run was stopped before its first checkpoint: it starts anew, from load_from.


def _moved_checkpoint(marker: Path) -> str | None:
    """Where the latest checkpoint is if its folder was moved or copied; None if it is in place.

    Raises:
        FileNotFoundError: It is gone.
    """
    named = Path(marker.read_text().strip())
    here = marker.parent / named.name
    if named.is_file():
        return None
    if not here.is_file():
        raise FileNotFoundError(
            f"{marker} names {str(named)!r}, which is gone: name another one with --resume "
            "CHECKPOINT"
        )
    return str(here)

"""What ``tools/train.py`` and ``tools/test.py`` have in common."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction

from derain_plugin.config import load_config

SETTINGS_HELP = """\
Settings of the shipped configs, given with --cfg-options:
  data_root=data/coco/            clean COCO-format data: annotations/, train2017/, val2017/
  rainy_root=data/coco_rain/      the same file names, rainy
  synthetic_rain=3                no rainy_root: train and validate on rendered rain; or "(1,5)"
  classes=car,person              category names; default the 80 of COCO
  percent=10                      of the training images
"""


def build_parser(description: str, example: str) -> argparse.ArgumentParser:
    """Make a parser with mmdet's options that every tool takes."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"{SETTINGS_HELP}\nExample:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--work-dir", help="folder for logs and checkpoints; default work_dirs/<name of config>"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help='overrides as key=value; lists as key=a,b or key="[a,b]", without white space',
    )
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="job launcher; see tools/dist_train.sh and tools/slurm_train.sh",
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def is_first_process() -> bool:
    """Whether this is rank 0 of the launcher; known before mmengine starts the group."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"))
    return all(rank in (None, "0") for rank in ranks)


def config_from(args: argparse.Namespace) -> Config:
    """Load the config that the arguments name, with their overrides."""
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs", Path(args.config).stem))
    return cfg

"""What ``tools/train.py`` and ``tools/test.py`` have in common."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

BLANK = "\N{SYMBOL FOR SPACE}"  # in the place of a blank, which mmengine drops
PATHS = (
    "ann_file",
    "checkpoint",
    "data_root",
    "img",
    "load_from",
    "outfile_prefix",
    "rainy_root",
    "save_dir",
    "work_dir",
)
NAMES = ("classes",)
"""What these keys of a config hold is text, also where it looks like a number or a list."""
AROUND_ITEMS = re.compile(r"(?<=[,\[(]) +| +(?=[,\])])")
SETTINGS_HELP = """\
Settings of the shipped configs, given with --cfg-options:
  data_root=data/coco/            clean COCO-format data: annotations/, train2017/, val2017/
  rainy_root=data/coco_rain/      the same file names, rainy
  synthetic_rain=3                no rainy_root: train and validate on rendered rain; or "(1,5)"
  rain_components=streaks,veil    what that rain is made of; see docs/rain.md
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
    add_cfg_options(parser)
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="job launcher; see tools/dist_train.sh and tools/slurm_train.sh",
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add mmdet's ``--cfg-options``; :func:`parse_cfg_options` reads it."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help='overrides, such as data_root=data/coco/ "classes=car,traffic light" '
        'synthetic_rain="(1, 5)"; lists as KEY=a,b or KEY="[a,b]"',
    )


def add_adapter(parser: argparse.ArgumentParser) -> None:
    """Add ``--adapter``."""
    parser.add_argument(
        "--adapter",
        metavar="DIR",
        help="put in the de-rain neck that derain-adapt wrote for this checkpoint",
    )


def parse_cfg_options(words: Sequence[str] | None) -> dict[str, Any] | None:
    """Read overrides as mmengine's ``DictAction`` does, but leave blanks inside values.

    Paths and class names stay the text that they are: ``classes=1,2`` are two names, and a path
    may hold a comma or a bracket. A name with a comma is quoted.

    Raises:
        SystemExit: One of ``words`` has no ``=``, or a bracket that does not close.
    """
    if words is None:
        return None
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(usage="--cfg-options KEY=VALUE [KEY=VALUE ...]")
    parser.add_argument("options", nargs="*", action=DictAction)
    for word in words:
        if "=" not in word:
            parser.error(f"an override is KEY=VALUE, got {word!r}")
    texts = {word: _as_text(*word.split("=", 1)) for word in words}
    others = [_without_blanks(word) for word in words if texts[word] is None]
    try:
        options = parser.parse_args(others).options or {}
    except AssertionError as error:
        parser.error(f"cannot read {' '.join(words)}: {error}")
    values = {key: _with_blanks(value) for key, value in options.items()}
    return values | {
        word.split("=", 1)[0]: text for word, text in texts.items() if text is not None
    }


def _as_text(key: str, value: str) -> str | tuple[str, ...] | None:
    """Return the path or the class names that ``value`` is, None for what mmengine shall read."""
    name = key.rpartition(".")[2]
    if value == "None" or name not in (*PATHS, *NAMES):
        return None
    if name in PATHS:
        is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return value[1:-1] if is_quoted else value
    bare = re.sub(r"^\s*[\[(](.*)[\])]\s*$", r"\1", value)
    found = re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,]+))\s*(?:,|$)""", bare)
    return tuple("".join(quotes).strip() for quotes in found) or None


def _without_blanks(word: str) -> str:
    """Hide the blanks of a word from mmengine, which cannot read those of nested lists."""
    key, value = word.split("=", 1)
    if value.lstrip().startswith(("[", "(")):
        value = AROUND_ITEMS.sub("", value.strip())
    return f"{key}={value.replace(' ', BLANK)}"


def _with_blanks(value: Any) -> Any:
    """Put back the blanks that mmengine would drop, but for those around an item."""
    from mmengine.config import DictAction

    if isinstance(value, list | tuple):
        return type(value)(map(_with_blanks, value))
    if not isinstance(value, str) or BLANK not in value:
        return value
    text = value.replace(BLANK, " ").strip()
    return DictAction._parse_int_float_bool(text.strip("'\""))


def usable_device(parser: argparse.ArgumentParser, name: str | None) -> str:
    """Return ``name``, or the best device that is there, once a tensor was on it."""
    import torch
    from mmengine.device import get_device

    device = name or get_device()
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter without CUDA
        parser.error(f"--device {device}: {str(error).splitlines()[0]}")
    return device


def is_first_process() -> bool:
    """Whether this is rank 0 of the launcher; known before mmengine starts the group."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"))
    return all(rank in (None, "0") for rank in ranks)


def config_from(args: argparse.Namespace) -> Config:
    """Load the config that the arguments name, with their overrides."""
    from derain_plugin.config import load_config

    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs", Path(args.config).stem))
    return cfg


def add_components(parser: argparse.ArgumentParser) -> None:
    """Add what rain is made of; its renderer checks it. None stands for the renderer's default."""
    parser.add_argument(
        "--components",
        metavar="NAME[=SHARE],...",
        help="what the rain is made of, in all images or a share of them, such as "
        "streaks=0.5,veil; there are streaks, veil, spray, wet_ground, soft_focus and lens_drops",
    )
    parser.add_argument(
        "--lens-drops", action="store_true", help="the same as lens_drops among --components"
    )

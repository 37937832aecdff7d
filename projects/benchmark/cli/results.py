"""Where a benchmark command writes: a page and its numbers, replaced only if asked for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derain_plugin.files import atomic_write


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add ``--out``, by default a folder of this name that git ignores, and ``--overwrite``."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("work_dirs/benchmark", name),
        help="folder; default: %(default)s",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace, name: str) -> None:
    """End the program where there are results that nobody asked to replace."""
    if (args.out / f"{name}.md").exists() and not args.overwrite:
        parser.error(
            f"{args.out}/{name}.md exists: --overwrite replaces it, --out writes elsewhere"
        )


def write_results(folder: Path, name: str, report: Mapping[str, Any], text: str) -> None:
    """Write ``<name>.json`` and ``<name>.md``, and print the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / f"{name}.json", json.dumps(report, indent=1))
    atomic_write(folder / f"{name}.md", text)
    print(f"{text}\n{folder / f'{name}.md'}")

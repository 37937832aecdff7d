"""Measure what a training sample costs: the command line of ``tools/benchmark_loader.py``."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import describe_machine
from projects.benchmark.cli.results import add_arguments, check_arguments, write_results

DESCRIPTION = """\
Measure what a training sample costs a worker of the data loader, from a JPEG file of 640 x 480 to
640 x 640 px and boxes, 70 % rainy: the shipped pipeline, the same by mmdet's own steps, and
transformers' recipe (albumentations, RTDetrImageProcessor), in turns on one thread. Writes
loader.md and loader.json. Needs Linux, for a worker's memory.
"""
NOTE = """\
CPU milliseconds per image on one thread, medians of {rounds} rounds in turns over the same
{images} images. Relative: median of the paired ratios to the shipped pipeline, with its 95 %
interval. Worker: peak of memory above that after a first sample, two batches of 16 held. Pixels:
what goes to the collate function.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse how long to measure, and where to write."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=31, help="default %(default)s")
    parser.add_argument(
        "--batches", type=int, default=8, help="that a worker makes for its memory; %(default)s"
    )
    add_arguments(parser, "loader")
    args = parser.parse_args(arguments)
    for name in ("rounds", "batches"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(args, name)}")
    check_arguments(parser, args, "loader")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    import derain_plugin  # what takes long to load, for --help
    from projects.benchmark.loader_cost import measure

    derain_plugin.register_all_modules()
    try:
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(Path(folder), rounds=args.rounds, batches=args.batches)
    except ImportError as error:
        sys.exit(f"benchmark_loader: {error}")
    report = dict(
        **measured,
        rounds=args.rounds,
        arguments=shlex.join(sys.argv[1:] if arguments is None else arguments),
        **describe_machine(),
    )
    write_results(args.out, "loader", report, report_text(report))


def report_text(report: Mapping[str, Any]) -> str:
    """Return the table of a report, with what it was measured on."""
    head = "| 640 x 480 to 640 x 640 | ms / image | relative | 95 % | worker MB | pixels MB |"
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in report["recipes"]:
        low, high = row["relative_interval"]
        lines.append(
            f"| {row['recipe']} | {row['milliseconds']:.1f} | {row['relative']:.2f} | "
            f"[{low:.2f}, {high:.2f}] | {row['worker_mb']:.0f} | {row['sample_mb']:.1f} |"
        )
    table = "\n".join(lines)
    note = NOTE.format(rounds=report["rounds"], images=report["images"])
    command = f"python tools/benchmark_loader.py {report['arguments']}".strip()
    return (
        f"{table}\n\n{note}\n`{command}`, {report['date']}, commit {report['commit']}, "
        f"{report['hardware']}, {report['versions']}.\n"
    )

"""Measure the start of a training: the command line of ``tools/benchmark_train_start.py``."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import ROOT, commit_of, describe_machine
from projects.benchmark.cli.results import add_arguments, check_arguments, write_results

DESCRIPTION = """\
Measure what tools/train.py takes until its first iteration, on a generated data set of COCO's size:
another checkout of this project and this one, in turns, each start in a process of its own. At the
default size the data take 1 GB below --data, and the rounds half an hour. Writes train_start.md and
train_start.json.
"""
COUNTS = dict(images=118_000, boxes=860_000, rounds=5)
HELP = dict(images="to train on", boxes="in them", rounds="timed; one more is not")
NOTE = """\
{images:,} images, {boxes:,} boxes with outlines, a rainy copy; medians of {rounds} starts in turns,
each in a process of its own, until the first batch is there. Times: the median of the paired
ratios, with its 95 % interval. MB: resident at most.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to compare with, and how large the data are."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n  git worktree add /tmp/old v0.1 && "
        "python tools/benchmark_train_start.py /tmp/old",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "against", type=Path, help="folder of another checkout, with the same packages"
    )
    for name, default in COUNTS.items():
        text = f"{HELP[name]}; default %(default)s"
        parser.add_argument(f"--{name}", type=int, default=default, help=text)
    parser.add_argument(
        "--data", type=Path, help="where to generate data; default: a temporary folder"
    )
    add_arguments(parser, "train_start")
    args = parser.parse_args(arguments)
    for name in COUNTS:
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(args, name)}")
    check_arguments(parser, args, "train_start")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    if not (args.against / "tools").is_dir():
        sys.exit(f"against must be a checkout of this project, got {args.against}")
    from projects.benchmark.train_start import compare_train_starts, write_data

    counts = {name: getattr(args, name) for name in COUNTS}
    builds = [args.against.resolve(), ROOT]
    with tempfile.TemporaryDirectory(dir=args.data) as folder:
        write_data(Path(folder), images=args.images, boxes=args.boxes)
        try:
            compared = compare_train_starts(builds, Path(folder), rounds=args.rounds, tell=_tell)
        except RuntimeError as error:
            sys.exit(f"benchmark_train_start: {error}")
    command = shlex.join(sys.argv[1:] if arguments is None else arguments)
    report = dict(
        **compared,
        **counts,
        against=commit_of(builds[0]),
        arguments=command,
        **describe_machine(),
    )
    write_results(args.out, "train_start", report, report_text(report))


def report_text(report: Mapping[str, Any]) -> str:
    """Return the table of a report, with what it was measured on."""
    lines = [
        f"| start of a training | {report['against']} | this build | times | 95 % interval |",
        f"| --- | {' | '.join(['---:'] * 4)} |",
    ]
    for key, name in dict(cpu_seconds="CPU seconds", megabytes="peak MB").items():
        row = report[key]
        medians = " | ".join(f"{median:,.1f}" for median in row["medians"])
        low, high = row["interval"]
        lines.append(f"| {name} | {medians} | {row['ratio']:.2f} | [{low:.2f}, {high:.2f}] |")
    table = "\n".join(lines)
    command = f"python tools/benchmark_train_start.py {report['arguments']}".strip()
    return (
        f"{table}\n\n{NOTE.format(**report)}\n`{command}`, {report['date']}, commit "
        f"{report['commit']}, {report['hardware']}, {report['versions']}.\n"
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

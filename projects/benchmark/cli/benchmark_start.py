"""Measure what starting our commands takes: the command line of ``tools/benchmark_start.py``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import ROOT, commit_of, describe_machine
from projects.benchmark.cli.results import add_arguments, check_arguments, write_results

DESCRIPTION = """\
Measure time and peak memory of --help of every command, and of rendering rain on one image,
beside `python -c "import cv2, numpy"` and, with --against, beside another checkout of this
project. Everything is started in turns, in processes of its own. Writes start.md and start.json.
"""
COLUMNS = dict(seconds=".2f", megabytes=".0f")
NOTE = """\
Medians of {rounds} starts, in turns, each in a process of its own. MB: resident at most in one
process. Yardstick: the first row. Other: the build of commit {against}.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to start, and what to compare it with."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n  git worktree add /tmp/old v0.1 && "
        "python tools/benchmark_start.py --against /tmp/old",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="another checkout, with the same packages"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="these commands of tools/; default all"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    add_arguments(parser, "start")
    args = parser.parse_args(arguments)
    if args.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {args.rounds}")
    if args.against is not None and not (args.against / "tools").is_dir():
        parser.error(f"--against must be a checkout of this project, got {args.against}")
    check_arguments(parser, args, "start")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    from projects.benchmark.start import COMMANDS, measure_starts

    builds = [ROOT] if args.against is None else [ROOT, args.against.resolve()]
    try:
        rows = measure_starts(args.only or COMMANDS, builds, rounds=args.rounds, tell=_tell)
    except (ValueError, RuntimeError) as error:
        sys.exit(f"benchmark_start: {error}")
    report = dict(
        starts=rows,
        rounds=args.rounds,
        against=commit_of(builds[1]) if args.against else None,
        arguments=shlex.join(sys.argv[1:] if arguments is None else arguments),
        **describe_machine(),
    )
    write_results(args.out, "start", report, report_text(report))


def report_text(report: Mapping[str, Any]) -> str:
    """Return the table of a report, with what it was measured on."""
    yardstick = report["starts"][0]["costs"][0]
    head = ["start", "s", "x yardstick", "MB", "x yardstick"]
    if report["against"]:
        head += ["other: s", "ours / other", "other: MB", "ours / other"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [list(_cells(row, yardstick)) for row in report["starts"]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = NOTE.format(rounds=report["rounds"], against=report["against"])
    return (
        f"{table}\n\n{note}\n`python tools/benchmark_start.py`, {report['date']}, commit "
        f"{report['commit']}, {report['hardware']}, {report['versions']}.\n"
    )


def _cells(row: Mapping[str, Any], yardstick: Mapping[str, float]) -> Iterator[str]:
    ours, *others = row["costs"]
    yield row["start"]
    for key, form in COLUMNS.items():
        yield format(ours[key], form)
        yield f"{ours[key] / yardstick[key]:.2f}"
    for other, (key, form) in product(others, COLUMNS.items()):
        yield format(other[key], form) if other else "-"
        yield f"{ours[key] / other[key]:.3f}" if other else "-"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

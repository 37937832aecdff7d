"""Measure the metric stage of a test: the command line of ``tools/benchmark_metric.py``."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import describe_machine
from projects.benchmark.cli.results import add_arguments, check_arguments, write_results

DESCRIPTION = """\
Measure what COCO's metrics take after a test: NamedCocoMetric beside pycocotools, on the same
random boxes, in turns in one process; and how far their values are apart. At the default size it
takes a quarter of an hour and 8 GB. Writes metric.md and metric.json.
"""
COUNTS = dict(images=5000, detections=300, classes=80, rounds=5, threads=1)
HELP = dict(
    images="how many",
    detections="of each image",
    classes="how many",
    rounds="timed; one more is not",
    threads="of hotcoco; pycocotools has one",
)
NOTE = """\
{images:,} images, {detections} detections each, {classes} classes, random; medians of {rounds}
rounds in turns, threads of hotcoco: {threads}. Times as fast: the median of the paired ratios, with
its 95 % interval. Ours: all of `compute_metrics`, from what a test keeps. pycocotools: `loadRes` of
dicts that are there, `evaluate`, `accumulate`, `summarize`; the json that mmdet's metric writes and
reads before is not counted. Largest difference of the twelve metrics: {difference:.1e}.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse how much to evaluate."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in COUNTS.items():
        text = f"{HELP[name]}; default %(default)s"
        parser.add_argument(f"--{name}", type=int, default=default, help=text)
    add_arguments(parser, "metric")
    args = parser.parse_args(arguments)
    for name in COUNTS:
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(args, name)}")
    check_arguments(parser, args, "metric")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    os.environ["RAYON_NUM_THREADS"] = str(args.threads)  # read when hotcoco first evaluates
    import derain_plugin  # what takes long to load, for --help
    from projects.benchmark.metric_stage import MetricStage, compare_metric_stages

    derain_plugin.register_all_modules()
    counts = {name: getattr(args, name) for name in COUNTS}
    size = {name: counts[name] for name in ("images", "detections", "classes")}
    with tempfile.TemporaryDirectory() as folder:
        compared = compare_metric_stages(MetricStage(Path(folder), **size), rounds=args.rounds)
    command = shlex.join(sys.argv[1:] if arguments is None else arguments)
    report = dict(**compared, **counts, arguments=command, **describe_machine())
    write_results(args.out, "metric", report, report_text(report))


def report_text(report: Mapping[str, Any]) -> str:
    """Return the table of a report, with what it was measured on."""
    low, high = report["interval"]
    seconds, ap = report["seconds"], report["AP"]
    rows = [
        ["metric stage", "s", "times as fast", "95 % interval", "AP"],
        ["---", *["---:"] * 4],
        ["pycocotools", f"{seconds['pycocotools']:.2f}", "1", "-", f"{ap['pycocotools']:.6f}"],
        [
            "NamedCocoMetric", f"{seconds['ours']:.2f}", f"{report['ratio']:.1f}",
            f"[{low:.1f}, {high:.1f}]", f"{ap['ours']:.6f}",
        ],
    ]  # fmt: skip
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    command = f"python tools/benchmark_metric.py {report['arguments']}".strip()
    return (
        f"{table}\n\n{NOTE.format(**report)}\n`{command}`, {report['date']}, commit "
        f"{report['commit']}, {report['hardware']}, {report['versions']}.\n"
    )

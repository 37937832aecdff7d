"""Plot AP against severity: the command line of ``tools/plot_robustness.py``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.cli.work import working

DESCRIPTION = """\
Plot AP against rain severity, one line per model, from the robustness.json that tools/test.py
leaves beside its log, and print P, mPC, rPC and the gap of each.
"""
HEADINGS = ("P", "mPC", "rPC")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which results to plot."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n  python tools/plot_robustness.py "
        "vanilla=work_dirs/a/20260101_000000/robustness.json "
        "neck=work_dirs/b/20260101_000000/robustness.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        nargs="+",
        metavar="[NAME=]FILE",
        help="robustness.json of a model; named after its config where no name is given",
    )
    parser.add_argument(
        "--out",
        default="robustness.png",
        help="image to write, in place of an older one; default: %(default)s",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Plot as the command line says."""
    args = parse_args(arguments)
    with working():
        _plot(args)


def _plot(args: argparse.Namespace) -> None:
    from derain_plugin.evaluation.robustness import draw_robustness

    try:
        reports = _read_all(args.results)
        draw_robustness(reports, Path(args.out))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    width = max(map(len, reports))
    print(" " * width + "".join(f"  {heading:>5}" for heading in (*HEADINGS, "gap")))
    for title, report in reports.items():
        values = [report["robustness"].get(f"bbox_{heading}") for heading in HEADINGS]
        cells = (
            f"  {'-' if v is None else f'{v:.3f}':>5}" for v in (*values, report["gap"].get("AP"))
        )
        print(f"{title:<{width}}" + "".join(cells))
    print(args.out)


def _read_all(results: Sequence[str]) -> dict[str, dict]:
    reports: dict[str, dict] = {}
    for result in results:
        name, _, path = result.rpartition("=")
        report = _read(Path(path))
        title = name or report["title"]
        if title in reports:
            raise ValueError(f"two models are called {title}: write NAME=FILE")
        reports[title] = report
    return reports


def _read(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    try:
        report = json.loads(path.read_text())
    except ValueError:
        report = None
    if not isinstance(report, dict) or not {"title", "conditions", "robustness"} <= report.keys():
        raise ValueError(f"{path} is not a robustness.json that tools/test.py wrote")
    return report

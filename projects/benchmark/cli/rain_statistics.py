"""Compare rain by figures: the command line of ``tools/rain_statistics.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.machine import describe_machine
from derain_plugin.rain.components import DEFAULT_COMPONENTS

if TYPE_CHECKING:
    import numpy as np

DESCRIPTION = """\
Print contrast, saturation, dark channel and sharpness of photographs, as median (10th to 90th
percentile), at 416 px on the longer side: of folders of real weather, and of clear photographs as
they are and in our rain of each severity.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which photographs to measure."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n  python tools/rain_statistics.py clear/ --real dawn/rain dawn/fog",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clear", type=Path, help="folder of photographs in clear weather")
    parser.add_argument(
        "--real", type=Path, nargs="+", default=[], help="folders of photographs in bad weather"
    )
    parser.add_argument("--every", type=int, default=1, help="use every so many photograph")
    parser.add_argument("--version", type=int, choices=(2, 3), default=3, help="of the renderer")
    parser.add_argument("--components", default=DEFAULT_COMPONENTS, help="default %(default)s")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(arguments)
    from projects.benchmark.rain_statistics import (
        figures_in_rain,
        percentiles,
        photos_below,
        renderer_of,
    )

    renderer = renderer_of(args.version, args.components)
    try:
        rows = {
            str(folder): percentiles(image for _, image in photos_below(folder, every=args.every))
            for folder in [*args.real, args.clear]
        }
        for severity, found in figures_in_rain(args.clear, renderer, every=args.every).items():
            rows[f"{args.clear}, severity {severity}"] = found
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(f"{_table(rows)}\n\n{_caption(args)}")


def _table(rows: Mapping[str, np.ndarray]) -> str:
    from projects.benchmark.rain_statistics import NAMES

    head = f"| photographs | {' | '.join(NAMES)} |\n| --- |{' ---: |' * len(NAMES)}"
    lines = [
        f"| {name} | {' | '.join(_cell(*three) for three in found.T)} |"
        for name, found in rows.items()
    ]
    return "\n".join([head, *lines])


def _cell(median: float, low: float, high: float) -> str:
    digits = 3 if high < 1 else 0
    return f"{median:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def _caption(args: argparse.Namespace) -> str:
    machine = describe_machine()
    components = "" if args.version == 2 else f", components {args.components}"
    return (
        f"Renderer version {args.version}{components}; {machine['date']}, commit "
        f"{machine['commit']}."
    )

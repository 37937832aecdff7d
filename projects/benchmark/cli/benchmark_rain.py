"""Measure what rain costs: the command line of ``tools/benchmark_rain.py``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write

DESCRIPTION = """\
Measure what rendering rain costs: milliseconds per 640 x 480 image on one thread, beside two other
generators, and images per second of a training data loader with and without rain. Writes
benchmark.md and benchmark.json. Takes a minute or two.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse where to write."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="work_dirs/rain", help="folder; default: %(default)s")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    out = Path(parse_args(arguments).out)
    import derain_plugin  # what takes long to load, for --help
    from projects.benchmark.rain_cost import YARDSTICK, loader_rates, rendering_times

    derain_plugin.register_all_modules()
    out.mkdir(parents=True, exist_ok=True)
    try:
        times = rendering_times()
        with tempfile.TemporaryDirectory() as folder:
            rates = loader_rates(Path(folder))
    except ImportError as error:
        sys.exit(str(error))
    machine = describe_machine()
    text = f"{_table(times, YARDSTICK)}\n\n{_rates(rates)}\n\n{_caption(machine)}\n"
    report = dict(milliseconds=times, images_per_second=rates, **machine)
    atomic_write(out / "benchmark.json", json.dumps(report, indent=1))
    atomic_write(out / "benchmark.md", text)
    print(text)


def _table(times: Mapping[str, float], yardstick: str) -> str:
    rows = [
        f"| {name} | {time:.1f} | {time / times[yardstick]:.1f} |" for name, time in times.items()
    ]
    head = "| 640 x 480, one thread | ms / image | relative |\n| --- | ---: | ---: |"
    return "\n".join([head, *rows])


def _rates(rates: Mapping[str, float]) -> str:
    clean, rainy = rates.values()
    return (
        f"Data loader, 4 workers, batch 16, shipped training pipeline: {clean:.0f} images/s "
        f"without rain, {rainy:.0f} with 70 % rainy at severity 3 ({rainy / clean:.2f} x)."
    )


def _caption(machine: Mapping[str, str]) -> str:
    return (
        f"`python tools/benchmark_rain.py`, {machine['date']}, commit {machine['commit']}, "
        f"{machine['hardware']}, {machine['versions']}. Medians of one run, everything in turns."
    )

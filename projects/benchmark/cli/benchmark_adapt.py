"""Measure what a step of adapting costs: the command line of ``tools/benchmark_adapt.py``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.cli.arguments import add_cfg_options, parse_cfg_options, usable_device
from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write

DESCRIPTION = """\
Measure steps of derain-adapt, with and without the image filter, reading and rain included, beside
supervised training steps of the same detector, in turns in one process. Prints images per second
and their ratios, and writes adapting.json. Takes about two minutes.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which detector and which photos."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detector", nargs=2, metavar="FILE", help="of mmdet: CONFIG CHECKPOINT")
    parser.add_argument("photos", nargs="+", help="folders, files or globs")
    parser.add_argument("--batch-size", type=int, default=8, help="default %(default)s")
    parser.add_argument("--rounds", type=int, default=20, help="of timing; default %(default)s")
    parser.add_argument("--device", help="such as cpu or cuda:1; default the best that is there")
    parser.add_argument("--out", default="work_dirs/adapting", help="folder; default %(default)s")
    add_cfg_options(parser)
    args = parser.parse_intermixed_args(arguments)
    if args.batch_size < 1 or args.rounds < 3:
        parser.error("--batch-size must be at least 1, and --rounds at least 3")
    args.device = usable_device(parser, args.device)
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    import derain_plugin  # what takes long to load, for --help
    from derain_plugin.adapting.photos import find_photos
    from derain_plugin.cli.named_detector import load_detector
    from projects.benchmark.adapting import measure_adapting

    derain_plugin.register_all_modules()
    try:
        loaded = load_detector(args)
        found = measure_adapting(
            loaded.model, loaded.prepare, find_photos(args.photos).paths,
            batch_size=args.batch_size, rounds=args.rounds,
        )  # fmt: skip
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.exit(f"benchmark_adapt: {error}")
    report = dict(detector=Path(args.detector[0]).name, device=args.device, **found)
    report |= describe_machine()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "adapting.json", json.dumps(report, indent=1))
    print(_text(report))


def _text(report: dict) -> str:
    rates, relative = report["images_per_second"], report["relative"]
    lines = [
        f"{report['detector']}, batch {report['batch_size']}: its supervised training "
        f"{rates['supervised']:.1f} images/s"
    ]
    for name, ratio in relative.items():
        low, high = report["relative_interval"][name]
        lines.append(f"{name}: {rates[name]:.1f} images/s, {ratio:.2f} x [{low:.2f}, {high:.2f}]")
    measured = f"{report['date']}, commit {report['commit']}, {report['hardware']}"
    rounds = f"Medians of {report['rounds']} rounds. {measured}, {report['versions']}."
    return "\n".join([*lines, rounds])

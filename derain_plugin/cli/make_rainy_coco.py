"""Render a rainy copy of an image folder: the command line of ``tools/make_rainy_coco.py``."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from derain_plugin.cli.arguments import add_components

DESCRIPTION = """\
Render a rainy copy of a COCO-format image folder. File names stay, so the same annotation file
serves. A run that was stopped, killed even, continues when it is started again. OUT/manifest.json
holds the parameters and a checksum of each file.

The rain is that of the transform SyntheticRain(severity, seed) on the same image: it depends on
the severity, the seed and the image's id alone. The id is taken from --annotations; without it,
from the file's name (000000000139.jpg is 139, as in COCO).
"""
EXAMPLES = """\
Examples:
  python tools/make_rainy_coco.py data/coco/train2017 data/coco_rain/train2017 --severity 1-5
  python tools/make_rainy_coco.py data/coco/val2017 data/coco_severities \\
      --severity 1-5 --per-severity
  python tools/make_rainy_coco.py --verify data/coco_rain/train2017

Exit codes: 0 all is well; 1 an image is unreadable (the others are done), a file cannot be
written or --verify found something; 2 wrong options; 130 or 143 stopped, run again to continue.
"""
SHOWN = 50


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to copy, where to, and with what rain."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images",
        nargs="?",
        help="folder of images, in any sub-folders; only read (not needed with --verify)",
    )
    parser.add_argument("out", help="folder for the copy; one that holds other files is refused")
    parser.add_argument(
        "--severity",
        type=_severity_range,
        default=(3, 3),
        help="0 (plain) to 5, or a range such as 1-5: each image gets one of it; default 3",
    )
    parser.add_argument(
        "--per-severity",
        action="store_true",
        help="every image at every severity of the range, in OUT/severity_1/ and so on",
    )
    parser.add_argument(
        "--annotations",
        metavar="FILE",
        help="COCO file: copy the images that it lists, with its ids",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other rain")
    parser.add_argument(
        "--quality", type=int, default=95, help="of JPEG files, 1-100; default %(default)s"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes; default %(default)s"
    )
    add_components(parser)
    parser.add_argument(
        "--verify",
        action="store_true",
        help="instead, compare each file of OUT with its checksum; writes nothing",
    )
    args = parser.parse_intermixed_args(arguments)
    if args.images is None and not args.verify:
        parser.error("two folders are needed: the images, and where to put the copy")
    if args.workers < 1:
        parser.error(f"--workers must be at least 1, got {args.workers}")
    from derain_plugin.rain import DEFAULT_COMPONENTS
    from derain_plugin.rain.copies import Recipe

    try:
        args.recipe = Recipe(
            severity=args.severity,
            per_severity=args.per_severity,
            seed=args.seed,
            quality=args.quality,
            components=DEFAULT_COMPONENTS if args.components is None else args.components,
            lens_drops=args.lens_drops,
        )
    except ValueError as error:
        parser.error(str(error))
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Make or verify the copy that the command line names."""
    args = parse_args(arguments)
    from concurrent.futures.process import BrokenProcessPool

    try:
        with _stoppable():
            is_good = _verify(args) if args.verify else _make(args)
    except BrokenProcessPool:
        sys.exit(
            "\na worker process was killed by the system, perhaps for want of memory: try fewer "
            "--workers; finished files are kept, run again to continue"
        )
    except (OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    if not is_good:
        sys.exit(1)


def _make(args: argparse.Namespace) -> bool:
    from derain_plugin.rain.copies import make_rainy_copy

    report = make_rainy_copy(
        args.images,
        args.out,
        recipe=args.recipe,
        annotations=args.annotations,
        num_workers=args.workers,
    )
    kept = report.num_files - report.num_new
    print(f"{args.out}: {report.num_new} files made now, {kept} were there")
    lines = [f"{path}: {reason}" for path, reason in sorted(report.unreadable.items())]
    _list("unreadable, so left out (repair them and run again)", lines)
    return not report.unreadable


def _verify(args: argparse.Namespace) -> bool:
    from derain_plugin.rain.copies import verify_copy

    verdict = verify_copy(args.out, num_workers=args.workers)
    used = verdict.manifest.parameters
    shown = ", ".join(
        f"{key} {used.get(key)}" for key in ("severity", "seed", "components", "renderer_version")
    )
    print(f"{args.out}: {len(verdict.manifest.files)} files recorded ({shown})")
    _list("missing (the command that made the copy makes them again)", verdict.missing)
    _list("altered (delete them, and it makes them again)", verdict.altered)
    _list("extra, not part of the copy", verdict.extra)
    if verdict.is_good:
        print("all are there and unaltered")
    return verdict.is_good


def _list(title: str, lines: Sequence[str]) -> None:
    if lines:
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        text = "\n  ".join([f"{len(lines)} {title}:", *lines[:SHOWN], *more])
        print(text, file=sys.stderr)


def _severity_range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a severity is like 3 or 1-5, got {text!r}")
    return int(found[1]), int(found[2] or found[1])


@contextmanager
def _stoppable() -> Iterator[None]:
    """End in order on Ctrl-C and on a request of the system, with the code that shells expect."""
    previous = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit:
        print("\nstopped; run again to continue", file=sys.stderr)
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)

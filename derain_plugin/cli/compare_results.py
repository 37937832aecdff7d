"""Compare saved predictions of several models: the command line of ``tools/compare_results.py``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write, sha256_of

if TYPE_CHECKING:
    from derain_plugin.evaluation.comparison import Comparison, ComparisonRow

# As in derain_plugin.evaluation.comparison, which takes long to load.
METRICS = ("AP", "AP50", "AP75")
EVERY_CONDITION = "*"

DESCRIPTION = """\
Compare the AP of models that were tested on the same images, with 95 % intervals of the
differences by a paired bootstrap over images and, where given, training seeds. First save the
predictions of each model: python tools/test.py CONFIG CHECKPOINT --out NAME.pkl
"""
EPILOG = """\
Rows are the test conditions. Where others have the images of the first, which is the clean one,
follow P, its AP, mPC, the mean over the severities, and rPC = mPC / P (arXiv 1907.07484). An
interval that excludes 0 is marked with *. It says what other images (and seeds) of the same kind
would give; a single training seed leaves out the luck of the training.

AP is that of pycocotools: up to 100 detections per image and class, in its unrounded form.

Example:
  python tools/compare_results.py vanilla=a.pkl control=b0.pkl,b1.pkl ms=c0.pkl,c1.pkl \\
      --annotations data/coco/annotations/instances_val2017.json --out comparison.json
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which files to compare, and how."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models",
        nargs="+",
        type=_model,
        metavar="NAME=FILE[,FILE...]",
        help="a model and the predictions of its training seeds; the first is the baseline. "
        "A FILE alone is named after itself",
    )
    parser.add_argument(
        "--annotations",
        action="append",
        required=True,
        type=_annotation,
        metavar="[CONDITION=]FILE",
        help="COCO annotations that the models were tested on; again for other test conditions",
    )
    parser.add_argument(
        "--metric", choices=METRICS, default="AP", help="AP (IoU 0.50 to 0.95), AP50 or AP75"
    )
    parser.add_argument(
        "--classes",
        type=lambda names: names.split(","),
        metavar="NAME,NAME...",
        help="the config's classes, for predictions that do not name them; default all categories "
        "of the annotations",
    )
    parser.add_argument(
        "--rainy",
        type=lambda names: names.split(","),
        metavar="CONDITION,CONDITION...",
        help="what makes up mPC; default severity_1 and so on, or all that share the clean images",
    )
    parser.add_argument("--resamples", type=int, default=1000, help="default 1000")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other resamples")
    parser.add_argument("--workers", type=int, help="default as many as cores; same results")
    parser.add_argument("--out", type=Path, help="write everything to this new json file")
    args = parser.parse_args(arguments)
    for option in ("models", "annotations"):
        pairs = getattr(args, option)
        if len(dict(pairs)) < len(pairs):
            parser.error(f"names of {option} must differ, got {', '.join(n for n, _ in pairs)}")
        setattr(args, option, dict(pairs))
    if args.out is not None and args.out.exists():
        parser.error(f"--out {args.out} exists: move it away, or choose another name")
    return args


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Compare as the command line says, print the tables and return what they show."""
    args = parse_args(arguments)
    with working():
        return _compare(args)


def _compare(args: argparse.Namespace) -> Comparison:
    from derain_plugin.evaluation.comparison import compare

    try:
        comparison = compare(
            args.models,
            args.annotations,
            metric=args.metric,
            classes=args.classes,
            rainy=args.rainy,
            resamples=args.resamples,
            seed=args.seed,
            workers=args.workers,
        )
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(_report(comparison, args)))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(args.out, json.dumps(_record(comparison, args), indent=1, allow_nan=False))
    return comparison


def _model(text: str) -> tuple[str, list[Path]]:
    name, equals, files = text.partition("=")
    if not equals or Path(text).is_file():
        return Path(text).stem, [Path(text)]
    if not name or not all(files.split(",")):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE or NAME=FILE,FILE, got {text}")
    return name, [Path(file) for file in files.split(",")]


def _annotation(text: str) -> tuple[str, Path]:
    condition, equals, file = text.partition("=")
    if not equals or Path(text).is_file():
        return EVERY_CONDITION, Path(text)
    return condition, Path(file)


def _report(comparison: Comparison, args: argparse.Namespace) -> Iterator[str]:
    for condition, count in comparison.images.items():
        if count < comparison.listed[condition]:
            listed = comparison.listed[condition]
            yield f"{condition}: only the {count} images of {listed} that were predicted count."
    baseline = next(iter(args.models))
    for model, rows in groupby(comparison.rows, key=lambda row: row.model):
        yield f"\n{args.metric} of {model} against {baseline}, {args.resamples} resamples"
        yield from _table(list(rows), (baseline, model))


def _table(rows: Sequence[ComparisonRow], names: tuple[str, str]) -> Iterator[str]:
    lines = [["condition", *names, "difference", "95 % interval", ""], *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([f"{first:<{widths[0]}}", *cells]).rstrip()


def _cells(row: ComparisonRow) -> list[str]:
    values = [f"{value:.4f}" for value in (row.baseline, row.value)]
    interval = f"[{row.low:+.4f}, {row.high:+.4f}]"
    cells = [row.condition, *values, f"{row.difference:+.4f}", interval, "*" * row.excludes_zero]
    return [cell.replace("+nan", "nan") for cell in cells]


def _record(comparison: Comparison, args: argparse.Namespace) -> dict[str, Any]:
    """What the json file holds."""
    from derain_plugin.cli.machine import describe_machine

    files = {path for paths in args.models.values() for path in paths}
    files |= set(args.annotations.values())
    settings = {name: value for name, value in vars(args).items() if name not in ("workers", "out")}
    return dict(
        rows=[row.record() for row in comparison.rows],
        images=comparison.images,
        listed_images=comparison.listed,
        settings=json.loads(json.dumps(settings, default=str)),
        sha256={str(path): sha256_of(path) for path in sorted(files)},
        **describe_machine(),
    )

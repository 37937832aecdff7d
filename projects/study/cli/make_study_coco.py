"""Make the study's data: the command line of ``tools/make_study_coco.py``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from projects.study.coco_folder import SIZES_OF_SPLITS, make_study_coco, write_statistics

DESCRIPTION = """\
Make a COCO-format folder of cluttered images that are harder than make_toy_coco's: twelve
classes of pictographs in several looks, many of them small, faint or partly hidden, on pieces of
photographs. No photograph is in two splits. The same arguments give the same files, whatever
--workers; an interrupted run continues where it stopped. Choose on val; look at test once.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse where to write, and how much."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n  python tools/make_study_coco.py data/study_coco \\\n"
        "      --stats projects/study/results/study",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", help="folder to fill; one that holds other files is refused")
    for split, count in SIZES_OF_SPLITS.items():
        parser.add_argument(
            f"--{split}", type=int, default=count, help=f"{split} images; default {count}"
        )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other images")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes; default %(default)s"
    )
    parser.add_argument(
        "--stats",
        metavar="FOLDER",
        help="write statistics there: data.md, data.json and data.jpg, in place of older ones",
    )
    args = parser.parse_args(arguments)
    if args.workers < 1:
        parser.error(f"--workers must be at least 1, got {args.workers}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data as the command line says."""
    args = parse_args(arguments)
    num_images = {split: getattr(args, split) for split in SIZES_OF_SPLITS}
    try:
        make_study_coco(args.out, num_images=num_images, seed=args.seed, num_workers=args.workers)
        if args.stats is not None:
            write_statistics(Path(args.out), Path(args.stats))
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    print(f"{args.out}: {', '.join(f'{n} {split}' for split, n in num_images.items())} images")

"""Make the embedded data: the command line of ``tools/make_toy_coco.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from projects.study.toy.coco_folder import SIZES_OF_SPLITS, make_toy_coco

DESCRIPTION = """\
Make a COCO-format folder of small cluttered images: eight classes of shapes on pieces of
photographs, for trying things out without COCO. No photograph is in two splits. The same
arguments give the same files; an interrupted run continues where it stopped.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse where to write, and how much."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n  python tools/make_toy_coco.py data/toy_coco",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", help="folder to fill; one that holds other files is refused")
    for split, count in SIZES_OF_SPLITS.items():
        parser.add_argument(
            f"--{split}", type=int, default=count, help=f"{split} images; default {count}"
        )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other images")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data as the command line says."""
    args = parse_args(arguments)
    num_images = {split: getattr(args, split) for split in SIZES_OF_SPLITS}
    make_toy_coco(args.out, num_images=num_images, seed=args.seed)
    print(f"{args.out}: {', '.join(f'{n} {split}' for split, n in num_images.items())} images")

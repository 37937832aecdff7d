"""Look at the rain: the command line of ``tools/browse_rain.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.arguments import add_components
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

DESCRIPTION = """\
Write a contact sheet: each photo clean and at rain severities 1 to 5, as SyntheticRain and
tools/make_rainy_coco.py render them. The levels are nominal, not mm/h. Without photos, some that
scikit-image ships are shown.
"""
SHIPPED = ("coffee", "astronaut", "rocket")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which photos to show, and where to write."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Examples:\n  python tools/browse_rain.py\n"
        "  python tools/browse_rain.py street.jpg --components veil,spray --out street_rain.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="*", help="image files")
    parser.add_argument(
        "--out",
        default="rain.png",
        help="image to write, in place of an older one; default: %(default)s",
    )
    parser.add_argument("--height", type=int, default=240, help="of a tile, px; default 240")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other rain")
    add_components(parser)
    args = parser.parse_args(arguments)
    import cv2

    from derain_plugin.rain import DEFAULT_COMPONENTS, component_shares
    from derain_plugin.rain.seeding import check_seed

    try:
        check_seed(args.seed)
        if args.components is None:
            args.components = DEFAULT_COMPONENTS
        component_shares(args.components)
        if not cv2.haveImageWriter(args.out):
            raise ValueError(f"--out must be an image such as rain.png, got {args.out}")
    except (ValueError, cv2.error) as error:
        parser.error(str(error))
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the contact sheet."""
    args = parse_args(arguments)
    import cv2

    from derain_plugin.rain import RENDERER_VERSION
    from derain_plugin.rain.contact_sheet import contact_sheet
    from derain_plugin.rain.photos import load_photos

    try:
        photos = [_read(path) for path in args.photos] or load_photos(*SHIPPED)
        sheet = contact_sheet(
            photos, height=args.height, seed=args.seed, components=args.components,
            lens_drops=args.lens_drops,
        )  # fmt: skip
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(str(error))
    out = Path(args.out)
    atomic_write(out, cv2.imencode(out.suffix, sheet)[1].tobytes())
    print(f"{out}: {len(photos)} photos, severities 0-5, renderer version {RENDERER_VERSION}")


def _read(path: str) -> np.ndarray:
    from derain_plugin.rain.images import UnreadableError, hint_at, read_image

    if not Path(path).is_file():
        hint = hint_at(str(Path(path).parent), Path(path).name)
        raise FileNotFoundError(f"there is no photo {path}{hint}")
    try:
        return read_image(Path(path))
    except UnreadableError as error:
        raise ValueError(f"cannot read {path} as an image: {error}") from error

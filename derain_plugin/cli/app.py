"""A page to try detectors in rain on: the command line of ``tools/app.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.arguments import usable_device
from derain_plugin.cli.work import working

if TYPE_CHECKING:
    from derain_plugin.app.comparison import Comparison
    from derain_plugin.app.page import Page

DESCRIPTION = """\
Serve a page, in the browser: choose or upload an image, let it rain, and see what a vanilla and a
derained detector find, and how long they take. Without --vanilla and --derained it shows what
`make demo` has trained and adapted, from work_dirs/demo.
"""
EPILOG = """\
The page is served to this machine only, unless --host says otherwise: whoever reaches it can make
this machine work. Uploads are images and nothing else, and are kept in a temporary folder for an
hour at most. Nothing is loaded from, or sent to, anywhere else. Ctrl-C stops it.

Examples:
  python tools/app.py
  python tools/app.py --vanilla configs/rtdetr_r18_coco.py hf://PekingU/rtdetr_r18vd \\
      --derained configs/rtdetr_r18_featderain_ms.py epoch_15.pth --port 8000
"""
PAIR = ("CONFIG", "CHECKPOINT")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which detectors to show, to whom, and what may be uploaded."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vanilla", nargs=2, metavar=PAIR, help="detector to compare with")
    parser.add_argument("--derained", nargs=2, metavar=PAIR, help="detector with a de-rain neck")
    parser.add_argument("--host", default="127.0.0.1", help="address; default %(default)s")
    parser.add_argument("--port", type=int, help="default the first free one from 7860")
    parser.add_argument(
        "--max-upload-mb", type=float, default=20, help="largest file; default %(default)s"
    )
    parser.add_argument(
        "--max-megapixels", type=float, default=25, help="largest image; default %(default)s"
    )
    parser.add_argument("--device", help="such as cpu or cuda:1; default the best that is there")
    parser.add_argument(
        "--screenshot",
        type=Path,
        metavar="FILE",
        help="write a .png of the page at severity 5, replacing an older one, and stop; needs "
        "playwright, and Chromium at /usr/bin/chromium",
    )
    args = parser.parse_args(arguments)
    if (args.vanilla is None) != (args.derained is None):
        parser.error("give both --vanilla and --derained, or neither")
    for option in ("max_upload_mb", "max_megapixels"):
        if not getattr(args, option) > 0:
            parser.error(f"--{option.replace('_', '-')} must be positive")
    if args.port is not None and not 0 < args.port < 65536:
        parser.error(f"--port must be in 1-65535, got {args.port}")
    if args.screenshot is not None and args.screenshot.suffix != ".png":
        parser.error(f"--screenshot must be a .png file, got {args.screenshot}")
    args.device = usable_device(parser, args.device)
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until Ctrl-C, or take an image of it."""
    args = parse_args(arguments)
    with working():
        _serve(args)


def _serve(args: argparse.Namespace) -> None:
    from derain_plugin.app.page import Page, import_gradio, own_folder, serve

    try:
        with own_folder() as folder:
            import_gradio()  # what is missing is said before checkpoints load
            page = Page(comparison_of(args), folder=folder, max_megapixels=args.max_megapixels)
            options = dict(host=args.host, port=args.port, max_upload_mb=args.max_upload_mb)
            if args.screenshot is None:
                serve(page, **options)
            else:
                _write_screenshot(page, args.screenshot, options)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")


def comparison_of(args: argparse.Namespace) -> Comparison:
    """Load the detectors that the command line names, and let each look at an image once.

    Raises:
        FileNotFoundError: None are named, and the demo has not been run.
    """
    from derain_plugin.apis import Detector
    from derain_plugin.app.comparison import Comparison
    from derain_plugin.app.demo import demo_detectors
    from derain_plugin.app.images import Examples

    pairs = (args.vanilla, args.derained) if args.vanilla else demo_detectors()
    names = [f"{kind}: {_title(Path(config))}" for kind, (config, _) in zip(
        ("vanilla", "derained"), pairs, strict=True
    )]  # fmt: skip
    comparison = Comparison(
        *(Detector(*pair, device=args.device, name=name) for pair, name in zip(
            pairs, names, strict=True
        ))
    )  # fmt: skip
    examples = Examples()
    comparison.detect(examples.load(examples.names[0]), severity=1, score_thr=1)  # slow at first
    return comparison


def _title(config: Path) -> str:
    """Name a detector by its config; what ``derain-adapt merge`` wrote, by its folder."""
    return config.parent.name if config.name == "config.py" else config.stem


def _write_screenshot(page: Page, path: Path, options: dict) -> None:
    from derain_plugin.app.page import serve
    from derain_plugin.app.screenshot import take_screenshot

    address = serve(page, **options, blocking=False)
    try:
        take_screenshot(address, path)
    finally:
        page.blocks.close(verbose=False)
    print(path)

"""A neck for rain, from clear photographs alone: the command line of ``tools/adapt.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derain_plugin.cli.arguments import add_cfg_options, parse_cfg_options, usable_device
from derain_plugin.cli.named_detector import Loaded, load_detector
from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    from derain_plugin.adapting import Adapted

DESCRIPTION = """\
Make a detector see better in rain, with photographs of clear weather and no labels. Rain is
rendered on the photos; a small neck learns to give the detector the features that it has on the
clean ones. The detector itself stays bitwise as it is, and the result is an adapter of a few
hundred KB that can be put in and taken out.
"""
EPILOG = """\
DETECTOR is one of
  CONFIG CHECKPOINT   of mmdet: YOLOX, RTMDet, RetinaNet, Faster R-CNN, DINO, our RT-DETR, and
                      others with a neck; CONFIG may be mmdet::yolox/yolox_nano_8xb8-300e_coco.py
  FOLDER or HUB_ID    of transformers: RT-DETR, RT-DETRv2, D-FINE

In DIR: adapter.safetensors and adapter_config.json, before_after.jpg to look at, and training/
with the checkpoint that --resume goes on from. A few hundred photos from where the detector is
used are enough; a tenth of them is held out for the table at the end.

The table is no accuracy: it says how much of what the detector finds on the clean photos (score
0.3 or more, taken as truth) it still finds in rain, before and after. Photos of real rain with
labels tell more: tools/test.py.

Exit codes: 0 adapted; 1 an error; 2 wrong options; 130 stopped, go on with --resume.

Examples:
  derain-adapt mmdet::yolox/yolox_nano_8xb8-300e_coco.py yolox_nano.pth photos/ --out adapted
  derain-adapt PekingU/rtdetr_r18vd "photos/**/*.jpg" --out adapted --minutes 30
  derain-infer CONFIG CHECKPOINT street.jpg --adapter adapted --out-dir seen
  derain-adapt merge CONFIG CHECKPOINT --adapter adapted --out merged
"""
MERGE = """\
Write a detector with the neck of an adapter inside: a config and a checkpoint for mmdet, a folder
for transformers (derain_plugin.hf.FeatureDerainRTDetr).
"""
SHOWN = 4  # photos in the grid


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse which detector, which photos, how long; or what to merge."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return _parse_merge(words[1:]) if words[:1] == ["merge"] else _parse_adapt(words)


def _parse_adapt(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser(
        DESCRIPTION,
        "DETECTOR PHOTOS",
        "detector, then photos: folders, files, globs, or a COCO json",
    )
    parser.epilog = EPILOG
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=_count, metavar="N", help="steps of the optimizer")
    length.add_argument(
        "--epochs", type=_positive, metavar="N", help="passes over the photos; default 4"
    )
    length.add_argument("--minutes", type=_positive, metavar="N", help="for about so long")
    parser.add_argument(
        "--batch-size", type=_count, default=8, metavar="N", help="default %(default)s"
    )
    parser.add_argument("--lr", type=_positive, default=1e-3, help="of AdamW; default %(default)s")
    parser.add_argument(
        "--severity", type=_severities, default=(1, 5), metavar="A-B",
        help="rain to train with, mildest and worst; default 1-5",
    )  # fmt: skip
    parser.add_argument(
        "--clean-share", type=_share, default=0.3, metavar="S",
        help="of the samples that stay clean, 0-1; default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--loss-weights", type=float, nargs=3, default=(1.0, 1.0, 1.0),
        metavar=("FEATURES", "CLASSES", "BOXES"), help="factors on the losses; default 1 1 1",
    )  # fmt: skip
    parser.add_argument(
        "--rainy", nargs="+", default=[], metavar="PHOTOS",
        help="photos of bad weather, to be shown before and after; nothing is learned from them",
    )  # fmt: skip
    parser.add_argument("--amp", action="store_true", help="fp16 on CUDA, bf16 on CPU")
    parser.add_argument(
        "--renderer", metavar="MODULE:FUNCTION",
        help="rain of your own: a function(image, severity, seed=...) of a module on the Python "
        "path, uint8 BGR in and out; default ours",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N",
        help="processes that prepare photos; default none. They change no result",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--resume", action="store_true", help="go on where DIR was stopped")
    args = parser.parse_intermixed_args(words)
    if not any(args.loss_weights) or min(args.loss_weights) < 0:
        parser.error(f"--loss-weights must be 0 or more, and one above, got {args.loss_weights}")
    for name in ("seed", "workers"):
        if getattr(args, name) < 0:
            parser.error(f"--{name} must not be negative, got {getattr(args, name)}")
    _take_detector(parser, args)
    if not args.words:
        parser.error("name photos of clear weather after the detector: folders, files or globs")
    if args.out.exists() and not args.resume:
        parser.error(f"--out {args.out} exists: name a new folder, or go on there with --resume")
    args.photos, args.command = args.words, "adapt"
    return _finish(parser, args)


def _parse_merge(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser(MERGE, "DETECTOR", "the detector that the adapter is for")
    parser.prog += " merge"
    parser.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="its folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    args = parser.parse_intermixed_args(words)
    _take_detector(parser, args)
    if args.words:
        parser.error(f"nothing goes after the detector, got {' '.join(args.words)}")
    if args.out.exists():
        parser.error(f"--out {args.out} exists: name a new folder")
    args.command = "merge"
    return _finish(parser, args)


def _parser(description: str, words: str, help_text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="+", metavar=words, help=help_text)
    parser.add_argument("--device", help="such as cpu or cuda:1; default the best that is there")
    add_cfg_options(parser)
    return parser


def _take_detector(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Set ``detector``; what follows it stays in ``words``."""
    count = 2 if _is_config(args.words[0]) else 1
    if len(args.words) < count:
        parser.error(f"name a checkpoint after the config {args.words[0]}")
    args.detector, args.words = args.words[:count], args.words[count:]


def _finish(parser: argparse.ArgumentParser, args: argparse.Namespace) -> argparse.Namespace:
    args.device = usable_device(parser, args.device)
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def _is_config(word: str) -> bool:
    return word.endswith(".py") or "::" in word


def main(arguments: Sequence[str] | None = None) -> None:
    """Adapt or merge as the command line says."""
    args = parse_args(arguments)
    with working():
        try:
            _merge(args) if args.command == "merge" else _adapt(args)
        except KeyboardInterrupt:
            print("stopped; the same command with --resume goes on", file=sys.stderr)
            sys.exit(130)
        except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
            sys.exit(f"error: {error}")


def _adapt(args: argparse.Namespace) -> None:
    from derain_plugin.adapting import Length, LossWeights, adapt

    renderer = _renderer(args.renderer)
    loaded = load_detector(args)
    adapted = adapt(
        loaded.model,
        args.photos,
        args.out,
        prepare=loaded.prepare,
        base=args.detector[-1],
        base_sha256=loaded.sha256,
        length=Length(args.iterations, args.epochs, args.minutes),
        batch_size=args.batch_size,
        lr=args.lr,
        severity=args.severity,
        clean_share=args.clean_share,
        weights=LossWeights(*args.loss_weights),
        renderer=renderer,
        seed=args.seed,
        amp=args.amp,
        workers=args.workers,
        resume=args.resume,
    )
    grid = _write_grid(adapted, loaded, args)
    print(f"{args.out}: the adapter\n{grid}: before and after")
    print("\nNext:\n" + "\n".join(f"  {line}" for line in _next_commands(args)))


def _renderer(name: str | None) -> Callable[..., Any]:
    from derain_plugin.rain import render_rain

    if name is None:
        return render_rain
    module, _, function = name.partition(":")
    try:
        found: Callable[..., Any] = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"--renderer {name} cannot be imported ({error}): name it as MODULE:FUNCTION, and put "
            "its folder on PYTHONPATH"
        ) from error
    return found


def _write_grid(adapted: Adapted, loaded: Loaded, args: argparse.Namespace) -> Path:
    import cv2

    from derain_plugin.adapting.photos import find_photos
    from derain_plugin.apis.adaptation_grid import draw_grid

    rainy = find_photos(args.rainy).paths[:SHOWN] if args.rainy else []
    grid = draw_grid(
        adapted.detector, adapted.held_out[:SHOWN], rainy=rainy, classes=loaded.classes,
        palette=loaded.palette, seed=args.seed, renderer=_renderer(args.renderer),
    )  # fmt: skip
    path = args.out / "before_after.jpg"
    atomic_write(path, cv2.imencode(".jpg", grid)[1].tobytes())
    return path


def _next_commands(args: argparse.Namespace) -> list[str]:
    detector = " ".join(args.detector)
    merge = f"derain-adapt merge {detector} --adapter {args.out} --out {args.out}_merged"
    if len(args.detector) == 2:
        return [f"derain-infer {detector} PHOTO --adapter {args.out} --out-dir seen", merge]
    return [
        "from derain_plugin.adapting import load_adapter  # in Python",
        f"model = load_adapter(AutoModelForObjectDetection.from_pretrained({detector!r}), "
        f"{str(args.out)!r})",
        merge,
    ]


def _merge(args: argparse.Namespace) -> None:
    from derain_plugin.adapting import load_adapter
    from derain_plugin.apis.merged_detector import write_merged_mmdet, write_merged_transformers

    loaded = load_detector(args)
    model = load_adapter(loaded.model, args.adapter)
    if loaded.source is None:
        write_merged_transformers(model, loaded.prepare, args.out)
        print(f"{args.out}: for derain_plugin.hf.FeatureDerainRTDetr.from_pretrained")
        return
    config, checkpoint = write_merged_mmdet(loaded.source, args.adapter, args.out)
    print(config, checkpoint, "", sep="\n")
    print(f"Next:\n  derain-infer {config} {checkpoint} PHOTO --out-dir seen")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number in 0-1, got {text}")
    return number


def _severities(text: str) -> tuple[int, int]:
    ends = text.split("-") if "-" in text else [text, text]
    if len(ends) != 2 or not all(end in "12345" and end for end in ends) or ends[0] > ends[1]:
        raise argparse.ArgumentTypeError(f"expected one of 1-5, or such as 1-3, got {text}")
    return int(ends[0]), int(ends[1])

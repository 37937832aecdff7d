"""What ``tools/adapt.py`` is told on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.cli.arguments import add_cfg_options, parse_cfg_options, usable_device

DESCRIPTION = """\
Make a detector see better in rain, with photographs of clear weather and no labels. Rain is
rendered on the photos; a small neck learns to give the detector the features that it has on the
clean ones. The detector itself stays bitwise as it is, and the result is an adapter of a few
hundred KB that can be put in and taken out.
"""
EPILOG = """\
DETECTOR is one of
  CONFIG CHECKPOINT   of mmdet: YOLOX, RTMDet, RetinaNet, Faster R-CNN, DINO, our RT-DETR, and
                      others; CONFIG may be mmdet::yolox/yolox_nano_8xb8-300e_coco.py
  FOLDER or HUB_ID    of transformers: RT-DETR, RT-DETRv2, D-FINE, DEIMv2, RF-DETR, LW-DETR

In DIR: adapter.safetensors and adapter_config.json, before_after.jpg to look at, and training/
with the checkpoint that --resume goes on from. A few hundred photos from where the detector is
used are enough; a tenth of them is held out for the table at the end.

The table is no accuracy: it says how much of what the detector finds on the clean photos (score
0.3 or more, taken as truth) it still finds in rain, before and after. Photos of real rain with
labels tell more: --val here, or tools/test.py.

Exit codes: 0 adapted; 1 an error; 2 wrong options; 130 stopped, go on with --resume.

Examples:
  derain-adapt mmdet::yolox/yolox_nano_8xb8-300e_coco.py yolox_nano.pth photos/ --out adapted
  derain-adapt PekingU/rtdetr_r18vd "photos/**/*.jpg" --out adapted --minutes 30
  derain-adapt CONFIG CHECKPOINT photos/ --out adapted --val real_rain.json clear.json
  derain-infer CONFIG CHECKPOINT street.jpg --adapter adapted --out-dir seen
  derain-adapt merge CONFIG CHECKPOINT --adapter adapted --out merged
"""
MERGE = """\
Write a detector with the neck of an adapter inside: a config and a checkpoint for mmdet, a folder
for transformers (derain_plugin.hf.FeatureDerainRTDetr).
"""


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
        "--batch-size", type=_count, metavar="N",
        help="photos of a step; default as many as fit into memory, 8 at most",
    )  # fmt: skip
    parser.add_argument("--lr", type=_positive, default=1e-3, help="of AdamW; default %(default)s")
    parser.add_argument(
        "--severity", type=_severities, default=(1, 5), metavar="A-B",
        help="rain to train with, mildest and worst; default 1-5",
    )  # fmt: skip
    parser.add_argument(
        "--clean-share", type=_share, default=0.5, metavar="S",
        help="of the samples that stay clean, 0-1; default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--crop", type=_share, default=0.6, metavar="S",
        help="up to which share of both sides is cut off half of the photos, so that objects come "
        "in more sizes; 0 crops none, default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--keep-colours", dest="distort", action="store_false",
        help="do not change contrast, brightness, saturation and hue at random, of the rainy and "
        "the clean photo alike, which teaches to leave alone what only looks like haze",
    )  # fmt: skip
    parser.add_argument(
        "--loss-weights", type=float, nargs=3, default=(1.0, 1.0, 1.0),
        metavar=("FEATURES", "CLASSES", "BOXES"), help="factors on the losses; default 1 1 1",
    )  # fmt: skip
    parser.add_argument(
        "--rainy", nargs="+", default=[], metavar="PHOTOS",
        help="photos of bad weather, to be shown before and after; nothing is learned from them",
    )  # fmt: skip
    parser.add_argument(
        "--labels", action="store_true",
        help="also train by the detector's own loss, with the boxes of the COCO json that PHOTOS "
        "is; default no labels",
    )  # fmt: skip
    parser.add_argument(
        "--val", nargs="+", default=[], metavar="JSON",
        help="COCO json of labelled photos of any weather: their AP before and after is shown",
    )  # fmt: skip
    parser.add_argument(
        "--early", nargs="+", default=[], metavar="MODULE",
        help="modules of the backbone after which a block cleans features, too: maxpool layer1 "
        "(ResNet), stem stage1 (CSPDarknet, CSPNeXt, RT-DETR), patch_embed stages.0 (Swin); "
        "default none",
    )  # fmt: skip
    parser.add_argument(
        "--no-filter", dest="filter", action="store_false",
        help="train the neck alone, not a filter of haze and contrast in front of the "
        "backbone as well: a step takes less time",
    )  # fmt: skip
    parser.add_argument("--amp", action="store_true", help="fp16 on CUDA, bf16 on CPU")
    parser.add_argument(
        "--renderer", default="ours", metavar="NAME",
        help="what renders the rain: ours; imgaug; a folder with a rainy copy of every photo; or "
        "FILE.py:FUNCTION or MODULE:FUNCTION, a function(image, severity, seed=...), uint8 BGR in "
        "and out; default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, metavar="N",
        help="processes that prepare photos; they change no result. Default: on CUDA one per core "
        "but one, 8 at most; on a CPU none",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--resume", action="store_true", help="go on where DIR was stopped")
    args = parser.parse_intermixed_args(words)
    if not any(args.loss_weights) or min(args.loss_weights) < 0:
        parser.error(f"--loss-weights must be 0 or more, and one above, got {args.loss_weights}")
    for name in ("seed", "workers"):
        if (getattr(args, name) or 0) < 0:
            parser.error(f"--{name} must not be negative, got {getattr(args, name)}")
    _take_detector(parser, args)
    if not args.words:
        parser.error("name photos of clear weather after the detector: folders, files or globs")
    if args.labels and (other := [w for w in args.words if not w.lower().endswith(".json")]):
        parser.error(
            f"--labels needs PHOTOS as COCO json, got {other[0]}: name the json with their boxes, "
            "or leave --labels out"
        )
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

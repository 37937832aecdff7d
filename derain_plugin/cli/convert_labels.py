"""Turn VOC or YOLO labels into COCO's: ``tools/dataset_converters/convert_labels.py``."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    from derain_plugin.datasets.labels import Conversion, LabelFormat

DESCRIPTION = """\
Turn the label files of real rain (DAWN, MixedRain, RID, RIS, ...) into one json in COCO's format
with COCO's 80 categories, so that a detector trained on COCO can be evaluated on it; or, with
--keep-classes, with the data set's own classes, to train on them. Images stay where they are.
Needs: pip install supervision

  voc   a Pascal VOC .xml for each image
  yolo  a darknet or Ultralytics .txt for each image; the class names come from --names, or from
        data.yaml, data.yml, dataset.yaml, classes.txt, obj.names in LABELS or two folders above

The label file of IMAGES/a/b.jpg is LABELS/a/b.xml or LABELS/a/b.txt. COCO's class names, in any
case and with - _ or spaces, Pascal VOC's, and pedestrian map by themselves. Any other name must
be mapped or ignored. VOC's difficult objects become iscrowd: neither asked for nor held against
a detector. Boxes are clipped to their image. All that is wrong is listed at once.
"""

EXAMPLES = """\
Examples:
  python tools/dataset_converters/convert_labels.py voc \\
      data/RID/images data/RID/annotations data/RID/coco.json
  python tools/dataset_converters/convert_labels.py yolo \\
      data/rain/images data/rain/labels data/rain/coco.json \\
      --class-map rider=person van=car --ignore "traffic sign"
  python tools/dataset_converters/convert_labels.py voc \\
      data/streets/images data/streets/annotations data/streets/coco.json \\
      --keep-classes car truck rider --sizes scale --difficult count
"""
SHOWN = 5


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to read, what its classes mean, and where to write."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=["voc", "yolo"], help="how the labels are written")
    parser.add_argument("images", type=Path, help="folder of images; sub-folders count")
    parser.add_argument("labels", type=Path, help="folder of label files; may be the same")
    parser.add_argument("out", type=Path, help="json to write; an existing one is refused")
    parser.add_argument(
        "--names",
        nargs="+",
        metavar="NAME",
        help="yolo: a .yaml, or a text file with a class name on each line, or the names",
    )
    parser.add_argument(
        "--class-map",
        nargs="+",
        default=[],
        metavar="NAME=COCO_NAME",
        help='what classes are in COCO, or among the kept ones; or a .json with {"name": "COCO '
        'name"}',
    )
    parser.add_argument(
        "--keep-classes",
        nargs="*",
        metavar="NAME",
        help="keep the data set's classes instead: these, in this order; without names, those of "
        "its names file, or of its boxes. Name them where several folders must agree",
    )
    parser.add_argument(
        "--ignore", nargs="+", default=[], metavar="NAME", help="classes to leave out"
    )
    parser.add_argument(
        "--layout",
        choices=["detect", "segment", "obb", "pose"],
        help="yolo: what lines of more than 5 columns are: polygons, of four corners in obb, or "
        "boxes with keypoints; default as data.yaml says",
    )
    parser.add_argument(
        "--sizes",
        choices=["refuse", "scale", "skip"],
        default="refuse",
        help="voc: where <size> is not the image's: scale the boxes, or skip the image; default "
        "%(default)s",
    )
    parser.add_argument(
        "--difficult",
        choices=["refuse", "count", "crowd", "skip"],
        default="refuse",
        help="voc: what an object is whose <difficult> is neither 0 nor 1: one like any other, "
        "iscrowd, or left out; default %(default)s",
    )
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out images that cannot be read, or whose labels cannot; they are counted",
    )
    args = parser.parse_args(arguments)
    if args.names and args.format == "voc":
        parser.error("--names is for yolo: VOC's labels hold their class names")
    if args.layout and args.format == "voc":
        parser.error("--layout is for yolo")
    if args.out.exists():
        parser.error(f"{args.out} exists: delete it, or choose another name")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert as the command line says, and print what became of the labels."""
    args = parse_args(arguments)
    with working():
        _convert(args)


def _convert(args: argparse.Namespace) -> None:
    from derain_plugin.datasets.labels import convert_labels

    try:
        conversion = convert_labels(
            args.images,
            args.labels,
            label_format=_label_format(args),
            overrides=_overrides(args.class_map),
            ignored=args.ignore,
            keep=args.keep_classes,
            skip_broken=args.skip_broken,
        )
        args.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(args.out, json.dumps(conversion.content))
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"convert_labels: {error}")
    print(f"{args.out}: {_summary(conversion)}")


def _label_format(args: argparse.Namespace) -> LabelFormat:
    from derain_plugin.datasets.labels import LabelFormat, read_voc, read_yolo

    if args.format == "voc":
        voc = partial(read_voc, sizes=args.sizes, unclear=args.difficult)
        return LabelFormat("voc", ".xml", voc)
    names, layout, keypoints = _yolo_classes(args)
    yolo = partial(read_yolo, names=names, layout=layout, keypoints=keypoints)
    return LabelFormat("yolo", ".txt", yolo, [names[index] for index in sorted(names)])


def _yolo_classes(
    args: argparse.Namespace,
) -> tuple[Mapping[int, str], str | None, tuple[int, int] | None]:
    """Return the class names, and what is known of the lines' layout."""
    given = args.names
    if given and (len(given) > 1 or not Path(given[0]).suffix):
        return dict(enumerate(given)), args.layout, None
    from derain_plugin.datasets.labels import find_names_file, read_class_names, read_keypoints

    path = Path(given[0]) if given else find_names_file(args.labels)
    print(f"class names from {path}")
    names = read_class_names(path)
    if path.suffix not in (".yaml", ".yml"):
        return names, args.layout, None
    keypoints = read_keypoints(path)
    layout = args.layout or ("pose" if keypoints else "segment")
    return names, layout, keypoints if layout == "pose" else None


def _overrides(items: list[str]) -> dict[str, str]:
    overrides: dict[str, str] = {}
    for item in items:
        name, is_pair, coco_name = item.partition("=")
        overrides |= {name: coco_name} if is_pair else _read_class_map(Path(item))
    return overrides


def _read_class_map(path: Path) -> dict[str, str]:
    if path.suffix != ".json":
        raise ValueError(f"--class-map takes NAME=COCO_NAME or a .json file, got {path}")
    try:
        class_map = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(class_map, dict) or not all(isinstance(v, str) for v in class_map.values()):
        raise ValueError(
            f'{path} must hold {{"name": "COCO name", ...}}; use --ignore to leave out'
        )
    return class_map


def _summary(conversion: Conversion) -> str:
    content = conversion.content
    names = {category["id"]: category["name"] for category in content["categories"]}
    boxes = Counter(names[a["category_id"]] for a in content["annotations"])
    renamed = [f"{a} -> {b}" for a, b in conversion.classes.items() if b not in (None, a)]
    difficult = sum(a["iscrowd"] for a in content["annotations"])
    lines = [
        f"{len(content['images'])} images, {boxes.total()} boxes: {_counts(boxes) or 'none'}",
        f"{difficult} of the boxes are difficult, now iscrowd" if difficult else "",
        f"class map: {', '.join(renamed)}" if renamed else "",
        f"flagged difficult in another word: {_counts(conversion.unclear)}"
        if conversion.unclear
        else "",
        f"ignored boxes: {_counts(conversion.ignored)}" if conversion.ignored else "",
        _some("boxes dropped that have no area inside their image", conversion.dropped),
        _some(
            "images without a label file, taken as images without objects", conversion.unlabelled
        ),
        _some("label files without an image, left out", conversion.imageless),
        _some("images skipped for their labels", conversion.left_out),
    ]
    return "\n".join(line for line in lines if line)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def _some(what: str, found: list[str]) -> str:
    shown = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    return f"{len(found)} {what}: {shown}" if found else ""

"""Label files of Pascal VOC (xml), darknet and Ultralytics (text): a file per image.

Corners of boxes are read by supervision, so that they lie where its users expect them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError

from mmengine.utils import digit_version

OLDEST_VERSION = "0.31.2"  # of supervision
_ROUNDING = 0.01  # by which coordinates may leave the image before they must be in px

DIFFICULT = {"": False, "0": False, "1": True, "false": False, "true": True}

MULTI_BYTE = re.compile(
    rb"<\?xml[^>]*encoding=[\"'](gb[\w-]+|big5[\w-]*|euc[\w-]+|shift.jis|cp9\d\d)", re.IGNORECASE
)
"""Encodings that expat does not know."""

Corners = tuple[float, float, float, float]
"""``x1, y1, x2, y2`` in px: edges of the box, 0 at the image's left and top edge."""


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box of a label file, in px of the image as it is loaded; it may reach outside.

    Attributes:
        name: Class name, as the data set spells it.
        corners: ``x1, y1, x2, y2`` in px; 0 is the image's left and top edge.
        where: Place in the label file, for messages.
        is_difficult: Pascal VOC's flag: finding it is neither rewarded nor punished.
        unclear: The flag's text where that is neither yes nor no.
        is_left_out: Whether it is not wanted for that reason.
    """

    name: str
    corners: Corners
    where: str
    is_difficult: bool = False
    unclear: str = ""
    is_left_out: bool = False

    def clipped(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return ``x, y, w, h`` in px of the part inside the image; w or h may be 0."""
        x1, x2 = (min(max(x, 0.0), width) for x in self.corners[::2])
        y1, y2 = (min(max(y, 0.0), height) for y in self.corners[1::2])
        return x1, y1, x2 - x1, y2 - y1


class LabelError(ValueError):
    """A label file cannot be used.

    Args:
        problems: All of them, each with its place and what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


Item = TypeVar("Item")


def _read_all(read: Callable[[Item], LabelledBox], items: Iterable[Item]) -> list[LabelledBox]:
    boxes, problems = [], []
    for item in items:
        try:
            boxes.append(read(item))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise LabelError(problems)
    return boxes


def read_voc(
    path: Path, width: int, height: int, *, sizes: str = "refuse", unclear: str = "refuse"
) -> list[LabelledBox] | None:
    """Read the objects of an ``<annotation>``.

    Args:
        path: Label file.
        width: Of the image as it is loaded, in px.
        height: The same.
        sizes: What to do where the file's ``<size>`` is another: ``refuse``, ``scale`` the boxes
            or ``skip`` the image.
        unclear: What to make of a ``<difficult>`` that is neither yes nor no: ``refuse``,
            ``count`` it as an object, as a ``crowd``, or ``skip`` it.

    Returns:
        The boxes; None for an image to skip.

    Raises:
        ValueError: If the file is not Pascal VOC, is of an image of another size, or has
            objects without a name or four finite numbers; it names all of them.
    """
    root = _parse(path)
    if root.tag != "annotation":
        raise ValueError(f"{path} is not Pascal VOC: its root is <{root.tag}>, not <annotation>")
    stated = _stated_size(root, path)
    if stated is None or stated == (width, height):
        stated = width, height
    elif sizes == "skip":
        return None
    elif sizes == "refuse" or stated == (height, width) or not all(side > 0 for side in stated):
        raise ValueError(
            f"{path} labels an image of {stated[0]:g} x {stated[1]:g} px, but it is loaded as "
            f"{width} x {height}: resized (--sizes scale), or turned by its EXIF tag? Correct "
            "boxes and <size>, or leave the image out with --sizes skip"
        )
    scale = width / stated[0], height / stated[1]
    objects = root.findall("object")
    if len(objects) < sum(1 for _ in root.iter("object")):
        raise ValueError(
            f"{path} has an <object> that is not directly in <annotation>: move it there"
        )

    def read(numbered: tuple[int, Element]) -> LabelledBox:
        number, labelled = numbered
        return _read_object(labelled, f"{path}, object {number}", scale, unclear)

    return _read_all(read, enumerate(objects, start=1))


def _parse(path: Path) -> Element:
    # Not the standard library's parser, which a few bytes of nested entities bring down.
    parser: Any = import_module("defusedxml.ElementTree")
    try:
        content = path.read_bytes()
        encoding = MULTI_BYTE.match(content)
        if encoding:
            text = content.decode(encoding[1].decode("ascii"))
            return parser.fromstring(text.partition("?>")[2])
        return parser.fromstring(content)
    except (ParseError, ValueError, LookupError) as error:
        raise ValueError(f"{path} is not well-formed xml: {error}") from error


def _stated_size(root: Element, path: Path) -> tuple[float, float] | None:
    try:
        width, height = (
            float(root.findtext(f"size/{side}", "").strip() or 0) for side in ("width", "height")
        )
    except ValueError as error:
        raise ValueError(f"{path}: <size>: {error}") from error
    return (width, height) if width or height else None  # some tools write 0 x 0


def _read_object(
    labelled: Element, where: str, scale: tuple[float, float], unclear: str
) -> LabelledBox:
    name = labelled.findtext("name", "").strip()
    flag = labelled.findtext("difficult", "").strip()
    is_difficult = DIFFICULT.get(flag.lower())
    try:
        if not name:
            raise ValueError("it has no name")
        if is_difficult is None and unclear == "refuse":
            raise ValueError(
                f"<difficult> is {flag!r}, neither 0 nor 1: say what that means with "
                "--difficult count, crowd or skip"
            )
        if len(labelled.findall("bndbox")) > 1:
            raise ValueError("it has several <bndbox>: give each an <object> of its own")
        x1, y1, x2, y2 = parse_voc_object(labelled)
        if max(x2, y2) <= 1 and (x1, y1) != (0, 0):
            raise ValueError("its corners are shares of the image's size: write px")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    corners = x1 * scale[0], y1 * scale[1], x2 * scale[0], y2 * scale[1]
    if is_difficult is not None:
        return LabelledBox(name, corners, where, is_difficult)
    return LabelledBox(name, corners, where, unclear == "crowd", flag, unclear == "skip")


def parse_voc_object(labelled: Element) -> Corners:
    """Return the box of an ``<object>`` of Pascal VOC.

    Raises:
        ValueError: If the object has no complete box or no name.
        ImportError: If supervision is missing.
    """
    annotation, copy = Element("annotation"), Element("object")
    annotation.append(copy)
    # Without its polygon, of which supervision would draw a mask.
    copy.extend(child for child in labelled if child.tag in ("name", "bndbox"))
    parse = _supervision("dataset.formats.pascal_voc").detections_from_xml_obj
    return _corners(parse(annotation, [], (1, 1))[0])


def read_yolo(
    path: Path,
    width: int,
    height: int,
    *,
    names: Mapping[int, str],
    layout: str | None = None,
    keypoints: tuple[int, int] | None = None,
) -> list[LabelledBox]:
    """Read lines of ``class x_center y_center width height``, and what may follow.

    Args:
        path: Label file; an empty one says that nothing is there to be found.
        width: Of the image as it is loaded, in px.
        height: The same.
        names: Class name of each index.
        layout: What a longer line is, as Ultralytics names it: ``segment``, a polygon ``class x y
            x y x y ...`` (of four corners in ``obb``), whose box is taken; ``pose``, a box and its
            keypoints, which are left out; ``detect``, an error. None: it is asked for.
        keypoints: ``kpt_shape``: how many there are, of how many numbers each; any, if None.

    Raises:
        ValueError: If lines have another number of columns, something that is not a finite
            number, a coordinate outside 0-1, or an index without a name; it names all of them.
    """

    def read(numbered: tuple[int, str]) -> LabelledBox:
        number, line = numbered
        columns = line.split()
        try:
            _check_columns(columns, layout, keypoints)
            box = columns[:5] if layout == "pose" else columns
            index, corners = parse_yolo_line(" ".join(box), width=width, height=height)
            if index not in names:
                raise ValueError(f"class {index} has no name; there are names for {sorted(names)}")
        except (ValueError, OverflowError) as error:  # the latter for an index of 20 digits
            raise ValueError(f"{path}:{number}: {error}") from error
        return LabelledBox(names[index], corners, f"{path}:{number}")

    lines = enumerate(_lines(path), start=1)
    return _read_all(read, ((number, line) for number, line in lines if line.strip()))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from error


def _check_columns(
    columns: list[str], layout: str | None, keypoints: tuple[int, int] | None
) -> None:
    count = len(columns)
    if count > 6 and layout is None:
        raise ValueError(
            f"{count} columns may be a polygon or a box with keypoints: say --layout segment, obb "
            "or pose, or give the data.yaml with --names"
        )
    if count != 5 and not _is_long_line(count, layout, keypoints):
        wanted = dict(
            segment=", or a polygon 1 + 2 per corner",
            obb=", or with corners 9",
            pose=f", and keypoints{' {} x {}'.format(*keypoints) if keypoints else ''}",
        ).get(layout or "", "")
        raise ValueError(
            f"{count} columns; a label has 5, class x_center y_center width height{wanted}. Those "
            "with confidences are predictions"
        )
    for text in columns[1:5] if layout == "pose" else columns[1:]:
        if not -_ROUNDING <= float(text) <= 1 + _ROUNDING:
            raise ValueError(f"{text} must be in 0-1, as a share of the image's width or height")


def _is_long_line(count: int, layout: str | None, keypoints: tuple[int, int] | None) -> bool:
    match layout:
        case "segment":
            return count >= 7 and count % 2 == 1
        case "obb":
            return count == 9
        case "pose":
            return count == 5 + keypoints[0] * keypoints[1] if keypoints else count > 6
    return False


def parse_yolo_line(line: str, *, width: int, height: int) -> tuple[int, Corners]:
    """Return the class index and the box of a line of darknet or Ultralytics.

    Raises:
        ValueError: If the line is malformed.
        ImportError: If supervision is missing.
    """
    parse = _supervision("dataset.formats.yolo").yolo_annotations_to_detections
    detections = parse([line], (width, height), with_masks=False)
    return int(detections.class_id[0]), _corners(detections)


def _corners(detections: Any) -> Corners:
    x1, y1, x2, y2 = detections.xyxy[0].tolist()
    return x1, y1, x2, y2


@cache
def _supervision(module: str) -> Any:
    remedy = f"pip install 'supervision>={OLDEST_VERSION}'"
    try:
        version = import_module("supervision").__version__
    except ImportError as error:
        raise ImportError(
            f"labels are read with supervision, which did not import ({error}): {remedy}"
        ) from error
    if digit_version(version) < digit_version(OLDEST_VERSION):
        raise ImportError(f"supervision {version} places boxes differently: {remedy}")
    return import_module(f"supervision.{module}")

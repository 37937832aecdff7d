"""Label files of Pascal VOC (xml), darknet and Ultralytics (text): a file per image.

Corners of boxes are read by supervision, so that they lie where its users expect them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from mmengine.utils import digit_version

OLDEST_VERSION = "0.31.2"  # of supervision
_ROUNDING = 0.01  # by which coordinates may leave the image before they must be in px

Corners = tuple[float, float, float, float]
"""``x1, y1, x2, y2`` in px: edges of the box, 0 at the image's left and top edge."""


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box as its label file has it; it may reach outside the image.

    Attributes:
        name: Class name, as the data set spells it.
        corners: ``x1, y1, x2, y2`` in px; 0 is the image's left and top edge.
        where: Place in the label file, for messages.
        is_difficult: Pascal VOC's flag: finding it is neither rewarded nor punished.
    """

    name: str
    corners: Corners
    where: str
    is_difficult: bool = False

    def clipped(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return ``x, y, w, h`` in px of the part inside the image; w or h may be 0."""
        x1, x2 = (min(max(x, 0.0), width) for x in self.corners[::2])
        y1, y2 = (min(max(y, 0.0), height) for y in self.corners[1::2])
        return x1, y1, x2 - x1, y2 - y1


def read_voc(path: Path, width: int, height: int) -> list[LabelledBox]:
    """Read the objects of an ``<annotation>``.

    Args:
        path: Label file.
        width: Of the image as it is loaded, in px; a ``<size>`` in the file must agree.
        height: The same.

    Raises:
        ValueError: If the file is not Pascal VOC, is of an image of another size, or has an
            object without a name or four finite numbers; it names the object.
    """
    root = _parse(path)
    if root.tag != "annotation":
        raise ValueError(f"{path} is not Pascal VOC: its root is <{root.tag}>, not <annotation>")
    _check_size(root, path, width, height)
    return [
        _read_object(labelled, f"{path}, object {number}")
        for number, labelled in enumerate(root.findall("object"), start=1)
    ]


def _parse(path: Path) -> Element:
    # Not the standard library's parser, which a few bytes of nested entities bring down.
    parser: Any = import_module("defusedxml.ElementTree")
    try:
        return parser.parse(path).getroot()
    except (ParseError, ValueError) as error:
        raise ValueError(f"{path} is not well-formed xml: {error}") from error


def _check_size(root: Element, path: Path, width: int, height: int) -> None:
    try:
        stated = [
            float(root.findtext(f"size/{side}", "").strip() or 0) for side in ("width", "height")
        ]
    except ValueError as error:
        raise ValueError(f"{path}: <size>: {error}") from error
    if any(stated) and stated != [width, height]:  # some tools write 0 x 0
        raise ValueError(
            f"{path} labels an image of {stated[0]:g} x {stated[1]:g} px, but it is loaded as "
            f"{width} x {height}: resized, or turned by its EXIF tag? Correct boxes and <size>"
        )


def _read_object(labelled: Element, where: str) -> LabelledBox:
    name = labelled.findtext("name", "").strip()
    difficult = labelled.findtext("difficult", "0").strip()
    try:
        if not name:
            raise ValueError("it has no name")
        if difficult not in ("", "0", "1"):
            raise ValueError(f"<difficult> must be 0 or 1, got {difficult!r}")
        corners = parse_voc_object(labelled)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return LabelledBox(name, corners, where, is_difficult=difficult == "1")


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
    path: Path, width: int, height: int, *, names: Mapping[int, str]
) -> list[LabelledBox]:
    """Read ``class x_center y_center width height`` lines, or ``class x y x y x y ...`` polygons.

    Args:
        path: Label file; an empty one says that nothing is there to be found.
        width: Of the image as it is loaded, in px.
        height: The same.
        names: Class name of each index.

    Raises:
        ValueError: If a line has another number of columns, something that is not a finite
            number, a coordinate outside 0-1, or an index without a name; it names the line.
    """
    return [
        _read_line(line, f"{path}:{number}", width=width, height=height, names=names)
        for number, line in enumerate(_lines(path), start=1)
        if line.strip()
    ]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from error


def _read_line(
    line: str, where: str, *, width: int, height: int, names: Mapping[int, str]
) -> LabelledBox:
    try:
        _check_columns(line.split())
        index, corners = parse_yolo_line(line, width=width, height=height)
        if index not in names:
            raise ValueError(f"class {index} has no name; there are names for {sorted(names)}")
    except (ValueError, OverflowError) as error:  # the latter for an index of 20 digits
        raise ValueError(f"{where}: {error}") from error
    return LabelledBox(names[index], corners, where)


def _check_columns(columns: list[str]) -> None:
    if len(columns) != 5 and (len(columns) < 7 or len(columns) % 2 == 0):
        raise ValueError(
            f"{len(columns)} columns; a label has 5, class x_center y_center width height, or a "
            "polygon 1 + 2 per corner. Those with confidences are predictions"
        )
    for text in columns[1:]:
        if not -_ROUNDING <= float(text) <= 1 + _ROUNDING:
            raise ValueError(f"{text} must be in 0-1, as a share of the image's width or height")


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

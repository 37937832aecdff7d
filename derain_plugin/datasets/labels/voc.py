"""Labels of Pascal VOC: an xml file per image."""

from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from derain_plugin.datasets.labels.labelled_box import LabelledBox, parse_voc_object


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

"""One labelled object of an image."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from xml.etree.ElementTree import Element

from mmengine.utils import digit_version

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


OLDEST_VERSION = "0.31.2"


def parse_yolo_line(line: str, *, width: int, height: int) -> tuple[int, Corners]:
    """Return the class index and the box of a line of darknet or Ultralytics.

    Raises:
        ValueError: If the line is malformed.
        ImportError: If supervision is missing.
    """
    parse = _supervision("dataset.formats.yolo").yolo_annotations_to_detections
    detections = parse([line], (width, height), with_masks=False)
    return int(detections.class_id[0]), _corners(detections)


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

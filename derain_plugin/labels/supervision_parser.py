"""What a single label says, through the package ``supervision``.

It knows the conventions, such as VOC's 1-based corners and YOLO's relative centers, and it is
kept. Its readers of whole folders (``DetectionDataset.from_yolo``, ``from_pascal_voc``) are not
used: they pass over sub-folders and over labels without an image, lose VOC's ``difficult``,
number the sparse classes of a data.yaml anew, take columns of pixels for relative ones, hold the
mask of every polygon of the set in memory, and name no line. So we read files, and it parses
labels.

The price: an optional dependency that pulls in matplotlib and PyAV, two functions that its
documentation does not list (hence the oldest version below), coordinates in float32 (right to
1/4000 px), and VOC boxes shifted by 1 px at their left and top if whoever wrote the file
counted from 0.
"""

from functools import cache
from importlib import import_module
from typing import Any
from xml.etree.ElementTree import Element

from mmengine.utils import digit_version

OLDEST_VERSION = "0.31.2"


Corners = tuple[float, float, float, float]
"""``x1, y1, x2, y2`` in px: edges of the box, 0 at the image's left and top edge."""


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

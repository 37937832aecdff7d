"""Find boxes that are not x, y, w, h in pixels of their image."""

from __future__ import annotations

import logging
import math
from collections import Counter

from mmengine.logging import print_log

OVERHANG = 1.02  # of an image's side: rounding and clumsy labels reach as far
LEAST = 5  # boxes that reach beyond their image, from which all are judged
PERCENT = 100
SHARE_OUTSIDE = 0.1  # of boxes that reach beyond their image; in sound files a handful does


def check_boxes(content: dict[str, list[dict]], ann_file: str) -> None:
    """Check every box of a file, and log boxes that are listed twice.

    Args:
        content: As :func:`read_annotations` returns it.
        ann_file: Its name, for messages.

    Raises:
        ValueError: A box has no finite area inside its image or is in shares of its size, or
            the boxes are corners, or centres and sizes.
    """
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    boxes = [(a, *sizes[a["image_id"]]) for a in content["annotations"]]
    for annotation, width, height in boxes:
        if fault := _fault(annotation, width, height):
            where = f"{ann_file}: annotation {annotation['id']} has bbox {annotation['bbox']}"
            raise ValueError(f"{where}{fault}")
    _refuse_corners(boxes, ann_file)
    _refuse_centres(boxes, ann_file)
    _warn_of_percent(boxes, ann_file)
    _log_repeated(content["annotations"], ann_file)


def _fault(annotation: dict, width: int, height: int) -> str | None:
    if _has_shares(annotation["bbox"], width, height):
        return (
            f", which are shares of its image of {width}x{height} px: multiply x and w by the "
            "width, y and h by the height of the image, in all annotations"
        )
    if not _is_inside(annotation["bbox"], width, height):
        return (
            f" (x, y, w, h in px), which has no finite area inside its image "
            f"{annotation['image_id']} of {width}x{height} px; correct or drop it"
        )
    return None


def _has_shares(bbox: list[float], width: int, height: int) -> bool:
    """Whether a box can only be meant as shares of its image's size: in pixels it were nothing.

    A box of one whole pixel is one in pixels; in shares it were the image, as few objects are.
    """
    is_pixel = all(float(value).is_integer() for value in bbox)
    is_small = all(0 <= value <= 1 for value in bbox) and bbox[2] > 0 and bbox[3] > 0
    return is_small and not is_pixel and max(width, height) > 2


def _is_inside(bbox: list[float], width: int, height: int) -> bool:
    x, y, w, h = bbox
    if not all(map(math.isfinite, bbox)) or w < 0 or h < 0:
        return False
    # COCO itself has a few boxes of zero width; mmdet skips them.
    return x <= width and y <= height and x + w >= 0 and y + h >= 0


def _refuse_corners(boxes: list[tuple[dict, int, int]], ann_file: str) -> None:
    """Refuse boxes that reach beyond their images as x, y, w, h and fit into them as corners.

    Their own areas may tell as well. Neither is a matter of a single box in a large file.
    """
    outside = [box for box in boxes if _reaches_beyond(*box)]
    by_area = [box for box in boxes if _has_area_of_corners(box[0])]
    looks_so = [box for box in outside if _fits_as_corners(*box)]
    is_outside = len(outside) >= SHARE_OUTSIDE * len(boxes) and len(looks_so) > 0.9 * len(outside)
    if not (outside and is_outside) and not (by_area and len(by_area) > 0.9 * len(boxes)):
        return
    annotation, width, height = (looks_so or by_area)[0]
    x1, y1, x2, y2 = annotation["bbox"]
    raise ValueError(
        f"{ann_file}: annotation {annotation['id']} has bbox {annotation['bbox']} in an image of "
        f"{width}x{height} px, which seems to be x1, y1, x2, y2, as in {len(looks_so)} boxes that "
        f"reach beyond their image and {len(by_area)} whose area says so. Write x, y, w, h, here "
        f"[{x1}, {y1}, {x2 - x1}, {y2 - y1}], in all annotations"
    )


def _refuse_centres(boxes: list[tuple[dict, int, int]], ann_file: str) -> None:
    """Refuse boxes of which many reach beyond their images as x, y, w, h, but none as cx, cy, w, h.

    Of true x, y, w, h some lie at the left or top edge, where the centre of a box cannot be.
    """
    outside = [box for box in boxes if _reaches_beyond(*box)]
    is_many = len(outside) >= max(LEAST, SHARE_OUTSIDE * len(boxes))
    if not is_many or not all(_fits_as_centre(*box) for box in boxes):
        return
    annotation, width, height = outside[0]
    x, y, w, h = annotation["bbox"]
    raise ValueError(
        f"{ann_file}: annotation {annotation['id']} has bbox {annotation['bbox']} in an image of "
        f"{width}x{height} px, which seems to be cx, cy, w, h, as in {len(outside)} boxes that "
        f"reach beyond their image. Write x, y, w, h, here [{x - w / 2:g}, {y - h / 2:g}, {w:g}, "
        f"{h:g}], in all annotations"
    )


def _fits_as_centre(annotation: dict, width: int, height: int) -> bool:
    x, y, w, h = annotation["bbox"]
    fits_across = w / 2 - 1 <= x <= width + 1 - w / 2
    return fits_across and h / 2 - 1 <= y <= height + 1 - h / 2


def _warn_of_percent(boxes: list[tuple[dict, int, int]], ann_file: str) -> None:
    """Say so if all boxes lie in the first 100 px of images that are far larger."""
    images = {annotation["image_id"] for annotation, _, _ in boxes}
    if len(images) < LEAST or not all(_may_be_percent(*box) for box in boxes):
        return
    print_log(
        f"{ann_file}: all {len(boxes)} boxes lie in the first {PERCENT} px of larger images: are "
        "they in percent of the image's size? Write px",
        logger="current",
        level=logging.WARNING,
    )


def _may_be_percent(annotation: dict, width: int, height: int) -> bool:
    x, y, w, h = annotation["bbox"]
    return x + w <= PERCENT and y + h <= PERCENT and min(width, height) > 2 * PERCENT


def _reaches_beyond(annotation: dict, width: int, height: int) -> bool:
    x, y, w, h = annotation["bbox"]
    return x + w > OVERHANG * width + 1 or y + h > OVERHANG * height + 1


def _fits_as_corners(annotation: dict, width: int, height: int) -> bool:
    x1, y1, x2, y2 = annotation["bbox"]
    return 0 <= x1 < x2 <= width + 1 and 0 <= y1 < y2 <= height + 1


def _has_area_of_corners(annotation: dict) -> bool:
    x1, y1, x2, y2 = annotation["bbox"]
    area = (x2 - x1) * (y2 - y1)
    is_near = math.isclose(annotation["area"], area, rel_tol=0.01)
    return x2 > x1 and y2 > y1 and is_near and not math.isclose(area, x2 * y2, rel_tol=0.05)


def _log_repeated(annotations: list[dict], ann_file: str) -> None:
    counts = Counter((a["image_id"], a["category_id"], *a["bbox"]) for a in annotations)
    if repeated := sum(count - 1 for count in counts.values()):
        print_log(
            f"{ann_file}: {repeated} of {len(annotations)} boxes are listed again with the same "
            "category and image: a detector can find only one of each",
            logger="current",
        )

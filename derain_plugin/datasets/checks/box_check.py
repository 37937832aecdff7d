"""Find boxes that are not x, y, w, h in pixels of their image."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from derain_plugin.datasets.annotation_entries import boxes_in

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
    boxes = _Boxes(content, ann_file, *boxes_in(content))
    with np.errstate(invalid="ignore", over="ignore"):
        _refuse_faults(boxes)
    _refuse_corners(boxes)
    _refuse_centres(boxes)
    _warn_of_percent(boxes)
    _log_repeated(boxes)


class _Boxes(NamedTuple):
    """The boxes of a file.

    Attributes:
        content: See :func:`check_boxes`.
        ann_file: See there.
        xywh: ``(N, 4)``.
        sizes: ``(N, 2)``, width and height of their images.
    """

    content: dict[str, list[dict]]
    ann_file: str
    xywh: np.ndarray
    sizes: np.ndarray

    def named(self, number: int) -> str:
        """Name a box for a message."""
        annotation = self.content["annotations"][number]
        return f"{self.ann_file}: annotation {annotation['id']} has bbox {annotation['bbox']}"

    def size_at(self, number: int) -> str:
        """Return the size of its image as the file has it."""
        image_id = self.content["annotations"][number]["image_id"]
        (image,) = (image for image in self.content["images"] if image["id"] == image_id)
        return f"{image['width']}x{image['height']} px"

    def reach_beyond(self) -> np.ndarray:
        """Whether each reaches far beyond its image: (N,)."""
        return (self.xywh[:, :2] + self.xywh[:, 2:] > OVERHANG * self.sizes + 1).any(1)


def _refuse_faults(boxes: _Boxes) -> None:
    is_share, is_inside = _are_shares(boxes), _are_inside(boxes)
    found = np.flatnonzero(is_share | ~is_inside)
    if not len(found):
        return
    first = int(found[0])
    if is_share[first]:
        raise ValueError(
            f"{boxes.named(first)}, which are shares of its image of {boxes.size_at(first)}: "
            "multiply x and w by the width, y and h by the height of the image, in all annotations"
        )
    raise ValueError(
        f"{boxes.named(first)} (x, y, w, h in px), which has no finite area inside its image "
        f"{boxes.content['annotations'][first]['image_id']} of {boxes.size_at(first)}; correct or "
        "drop it"
    )


def _are_shares(boxes: _Boxes) -> np.ndarray:
    """Whether each can only be meant as shares of its image's size: in pixels it were nothing.

    A box of one whole pixel is one in pixels; in shares it were the image, as few objects are.
    """
    xywh = boxes.xywh
    is_pixel = (xywh == np.round(xywh)).all(1)
    is_small = ((xywh >= 0) & (xywh <= 1)).all(1) & (xywh[:, 2:] > 0).all(1)
    return is_small & ~is_pixel & (boxes.sizes > 2).any(1)


def _are_inside(boxes: _Boxes) -> np.ndarray:
    starts, lengths = boxes.xywh[:, :2], boxes.xywh[:, 2:]
    # COCO itself has a few boxes of zero width; mmdet skips them.
    is_inside = (starts <= boxes.sizes) & (starts + lengths >= 0) & (lengths >= 0)
    return is_inside.all(1) & np.isfinite(boxes.xywh).all(1)


def _refuse_corners(boxes: _Boxes) -> None:
    """Refuse boxes that reach beyond their images as x, y, w, h and fit into them as corners.

    Their own areas may tell as well. Neither is a matter of a single box in a large file.
    """
    is_outside, by_area = boxes.reach_beyond(), _have_area_of_corners(boxes)
    looks_so, count = is_outside & _fit_as_corners(boxes), len(boxes.xywh)
    by_place = 0 < is_outside.sum() >= SHARE_OUTSIDE * count
    by_place = by_place and looks_so.sum() > 0.9 * is_outside.sum()
    if not by_place and not by_area.sum() > 0.9 * count:
        return
    first = int(np.argmax(looks_so if looks_so.any() else by_area))
    x1, y1, x2, y2 = boxes.content["annotations"][first]["bbox"]
    raise ValueError(
        f"{boxes.named(first)} in an image of {boxes.size_at(first)}, which seems to be x1, y1, "
        f"x2, y2, as in {looks_so.sum()} boxes that reach beyond their image and {by_area.sum()} "
        f"whose area says so. Write x, y, w, h, here [{x1}, {y1}, {x2 - x1}, {y2 - y1}], in all "
        "annotations"
    )


def _refuse_centres(boxes: _Boxes) -> None:
    """Refuse boxes of which many reach beyond their images as x, y, w, h, but none as cx, cy, w, h.

    Of true x, y, w, h some lie at the left or top edge, where the centre of a box cannot be.
    """
    is_outside = boxes.reach_beyond()
    is_many = is_outside.sum() >= max(LEAST, SHARE_OUTSIDE * len(is_outside))
    if not is_many or not _fit_as_centre(boxes):
        return
    first = int(np.argmax(is_outside))
    x, y, w, h = boxes.content["annotations"][first]["bbox"]
    raise ValueError(
        f"{boxes.named(first)} in an image of {boxes.size_at(first)}, which seems to be cx, cy, w, "
        f"h, as in {is_outside.sum()} boxes that reach beyond their image. Write x, y, w, h, here "
        f"[{x - w / 2:g}, {y - h / 2:g}, {w:g}, {h:g}], in all annotations"
    )


def _fit_as_centre(boxes: _Boxes) -> bool:
    centres, halves = boxes.xywh[:, :2], boxes.xywh[:, 2:] / 2
    return bool(((halves - 1 <= centres) & (centres <= boxes.sizes + 1 - halves)).all())


def _warn_of_percent(boxes: _Boxes) -> None:
    """Say so if all boxes lie in the first 100 px of images that are far larger."""
    ends = boxes.xywh[:, :2] + boxes.xywh[:, 2:]
    if (ends > PERCENT).any() or (boxes.sizes <= 2 * PERCENT).any():
        return
    if len({annotation["image_id"] for annotation in boxes.content["annotations"]}) < LEAST:
        return
    print_log(
        f"{boxes.ann_file}: all {len(ends)} boxes lie in the first {PERCENT} px of larger images: "
        "are they in percent of the image's size? Write px",
        logger="current",
        level=logging.WARNING,
    )


def _fit_as_corners(boxes: _Boxes) -> np.ndarray:
    starts, ends = boxes.xywh[:, :2], boxes.xywh[:, 2:]
    return np.all((starts >= 0) & (starts < ends) & (ends <= boxes.sizes + 1), axis=1)


def _have_area_of_corners(boxes: _Boxes) -> np.ndarray:
    starts, ends = boxes.xywh[:, :2], boxes.xywh[:, 2:]
    area = (ends - starts).prod(1)
    stated = np.array([a["area"] for a in boxes.content["annotations"]], float)
    is_box = (ends > starts).all(1)
    return is_box & _are_close(stated, area, 0.01) & ~_are_close(area, ends.prod(1), 0.05)


def _are_close(some: np.ndarray, others: np.ndarray, tolerance: float) -> np.ndarray:
    return abs(some - others) <= tolerance * np.maximum(abs(some), abs(others))


def _log_repeated(boxes: _Boxes) -> None:
    annotations = boxes.content["annotations"]
    ids = [[annotation[key] for annotation in annotations] for key in ("image_id", "category_id")]
    columns = [*boxes.xywh.T, *np.array(ids, np.int64)]
    order = np.lexsort(columns)
    is_same = [column[order[1:]] == column[order[:-1]] for column in columns]
    if repeated := np.logical_and.reduce(is_same).sum():
        print_log(
            f"{boxes.ann_file}: {repeated} of {len(annotations)} boxes are listed again with the "
            "same category and image: a detector can find only one of each",
            logger="current",
        )

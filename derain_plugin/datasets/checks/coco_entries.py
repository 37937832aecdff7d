"""Find entries of a COCO file that training would stumble over or silently leave out."""

from __future__ import annotations

import math
from typing import Any

NEEDED = {
    "categories": ("id", "name"),
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area"),
}


def check_entries(content: dict[str, list[dict]], ann_file: str) -> None:
    """Check that every entry has its keys, an id of its own and numbers where they belong.

    Raises:
        ValueError: An entry lacks a key, shares its id, holds something else than a number, or
            is of a category that is not listed; or there is nothing to learn from.
    """
    for kind, keys in NEEDED.items():
        _check_keys(content[kind], keys, f"{ann_file}: {kind}")
        _check_ids(content[kind], f"{ann_file}: {kind}")
    for image in content["images"]:
        if not all(_is_number(image[key]) and image[key] >= 1 for key in ("width", "height")):
            raise ValueError(
                f"{ann_file}: image {image['id']} has size {image['width']!r}x{image['height']!r}; "
                "write the width and height of its file in px"
            )
    categories = {category["id"] for category in content["categories"]}
    for annotation in content["annotations"]:
        _check_annotation(annotation, categories, ann_file)
    if all(annotation.get("iscrowd") for annotation in content["annotations"]):
        raise ValueError(
            f"{ann_file} has no box to learn from: {len(content['annotations'])} annotations, all "
            "of them crowds (iscrowd 1); annotate single objects"
        )


def _check_keys(entries: list[dict], keys: tuple[str, ...], where: str) -> None:
    for number, entry in enumerate(entries):
        absent = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if absent:
            raise ValueError(f"{where}[{number}] has no {absent[0]!r}; add it or drop the entry")


def _check_ids(entries: list[dict], where: str) -> None:
    seen: set[int | str] = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry["id"], int | str):
            raise ValueError(f"{where}[{number}] has id {entry['id']!r}; ids are whole numbers")
        if entry["id"] in seen:
            raise ValueError(f"{where} has id {entry['id']!r} twice; give each an id of its own")
        seen.add(entry["id"])


def _check_annotation(annotation: dict, categories: set, ann_file: str) -> None:
    where = f"{ann_file}: annotation {annotation['id']}"
    if not isinstance(annotation["category_id"], int | str) or (
        annotation["category_id"] not in categories
    ):
        raise ValueError(
            f"{where} is of category {annotation['category_id']!r}, which is not listed; add the "
            "category or drop the annotation"
        )
    if not isinstance(annotation["image_id"], int | str):
        raise ValueError(f"{where} has image_id {annotation['image_id']!r}; write an image's id")
    bbox = annotation["bbox"]
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        raise ValueError(f"{where} has bbox {bbox!r}; write four numbers: x, y, w, h in px")
    if not _is_number(annotation["area"]) or not math.isfinite(annotation["area"]):
        raise ValueError(f"{where} has area {annotation['area']!r}; write its px as a number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

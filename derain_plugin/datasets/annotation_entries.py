"""Check the single entries of an annotation file, column by column where there are many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

NEEDED = {
    "categories": ("id", "name"),
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("image_id", "category_id", "bbox"),
}
CROWD = {None: 0, 0: 0, 1: 1, "0": 0, "1": 1, "": 0}
MOST_DIGITS = 18  # of what fits into 64 bits


def check_entries(content: dict[str, list[dict]], path: str | Path) -> None:
    """Check that every entry has its keys, an id of its own and numbers where they belong.

    Raises:
        ValueError: An entry lacks a key, shares its id, holds something else than a number, or
            is of a category or an image that is not listed.
    """
    for kind, keys in NEEDED.items():
        _check_keys(content[kind], keys, f"{path}: {kind}")
        _check_ids(content[kind], f"{path}: {kind}")
    for image in content["images"]:
        if not all(_is_number(image[key]) and image[key] >= 1 for key in ("width", "height")):
            raise ValueError(
                f"{path}: image {image['id']} has size {image['width']!r}x{image['height']!r}; "
                "write the width and height of its file in px"
            )
    images, categories = (_known(content[kind]) for kind in ("images", "categories"))
    if _are_plain(content["annotations"], images, categories):
        return
    for number, annotation in enumerate(content["annotations"]):
        fault = _reference_fault(annotation, images, categories) or _number_fault(annotation)
        if fault:
            name = annotation.get("id", f"at {number} (from 0)")
            raise ValueError(f"{path}: annotation {name} {fault}")


def _known(entries: list[dict]) -> set[int | str]:
    return {key_of(entry["id"]) for entry in entries}


def _check_keys(entries: list[dict], keys: tuple[str, ...], where: str) -> None:
    needed = set(keys)
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and needed <= entry.keys():
            continue
        absent = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        raise ValueError(f"{where}[{number}] has no {absent[0]!r}; add it or drop the entry")


def _check_ids(entries: list[dict], where: str) -> None:
    ids = [entry.get("id") for entry in entries]
    if are_whole_numbers(ids) and len(set(ids)) == len(ids):
        return
    seen: set[int | str] = set()
    for number, entry in enumerate(entries):
        value = entry.get("id")
        if value is None and where.endswith("annotations"):
            continue
        if not _is_id(value):
            raise ValueError(f"{where}[{number}] has id {value!r}; ids are whole numbers")
        if key_of(value) in seen:
            raise ValueError(f"{where} has id {value!r} twice; give each an id of its own")
        seen.add(key_of(value))


def are_whole_numbers(values: Iterable[Any]) -> bool:
    """Whether all are of the type int, which bool is not."""
    return set(map(type, values)) <= {int}


def _are_plain(annotations: list[dict], images: set, categories: set) -> bool:
    """Whether a look at the columns is enough to find no fault in any annotation."""
    boxes = [annotation["bbox"] for annotation in annotations]
    if not set(map(type, boxes)) <= {list} or not set(map(len, boxes)) <= {4}:
        return False
    if not set(map(type, chain.from_iterable(boxes))) <= {int, float}:
        return False
    for key, known in (("category_id", categories), ("image_id", images)):
        column = [annotation[key] for annotation in annotations]
        if not are_whole_numbers(column) or not known.issuperset(column):
            return False
    areas = [annotation.get("area", 0) for annotation in annotations]
    if not set(map(type, areas)) <= {int, float} or not np.isfinite(_floats(areas)).all():
        return False
    crowds = [annotation.get("iscrowd") for annotation in annotations]
    return set(map(type, crowds)) <= {int, type(None)} and CROWD.keys() >= set(crowds)


def _is_id(value: Any) -> bool:
    is_whole = isinstance(value, float) and value.is_integer()
    return isinstance(value, int | str) or is_whole


def key_of(value: Any) -> int | str:
    """Return what two spellings of an id have in common: ``7``, ``7.0``, ``"7"``, ``"007"``."""
    if type(value) is int:
        return value
    text = str(int(value)) if isinstance(value, float) else str(value).strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    return int(text) if is_number else text


def _reference_fault(annotation: dict, images: set, categories: set) -> str | None:
    category, image = annotation["category_id"], annotation["image_id"]
    if not _is_id(category) or key_of(category) not in categories:
        return (
            f"is of category {category!r}, which is not listed; add the category or drop the "
            "annotation"
        )
    if not _is_id(image):
        return f"has image_id {image!r}; write an image's id"
    if key_of(image) not in images:
        return f"is of image {image}, which is not listed; drop it or add the image"
    return None


def _number_fault(annotation: dict) -> str | None:
    bbox, area, crowd = (annotation.get(key) for key in ("bbox", "area", "iscrowd"))
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        return f"has bbox {bbox!r}; write four numbers: x, y, w, h in px"
    if area is not None and not (_is_number(area) and math.isfinite(_float(area))):
        return f"has area {area!r}; write its px as a number"
    if isinstance(crowd, list | dict) or crowd not in CROWD:
        return f"has iscrowd {crowd!r}; write 0 for one object, 1 for a crowd"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def boxes_in(content: dict[str, list[dict]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of each annotation and the width and height of its image: (N, 4), (N, 2)."""
    annotations = content["annotations"]
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    boxes = [number for annotation in annotations for number in annotation["bbox"]]
    images = [number for annotation in annotations for number in sizes[annotation["image_id"]]]
    return _floats(boxes).reshape(-1, 4), _floats(images).reshape(-1, 2)


def _floats(numbers: list[float]) -> np.ndarray:
    try:
        return np.array(numbers, float)
    except OverflowError:
        return np.array([_float(number) for number in numbers])


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if number > 0 else -math.inf

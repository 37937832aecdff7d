"""The one reader of COCO annotation files: for training, evaluation, checks and comparisons.

pycocotools and mmdet each trip over files that have only one reading. They get that reading here,
so that what is trained on is what is asked for in a test.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.datasets.api_wrappers import COCO

NEEDED = {
    "categories": ("id", "name"),
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("image_id", "category_id", "bbox"),
}
CROWD = {None: 0, 0: 0, 1: 1, "0": 0, "1": 1, "": 0}
MOST_DIGITS = 18  # of what fits into 64 bits
SHOWN = 3


class AnnotationFile(COCO):
    """An annotation file as mmdet's dataset and metric ask for it.

    ``get_cat_ids`` keeps the order of the names, whereas mmdet's has that of the file: so label
    ``i`` is the ``i``-th class of the config whatever the file's order.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_annotations`.
    """

    def __init__(self, annotation_file: str) -> None:
        super().__init__()
        self.path = annotation_file
        self.dataset: dict[str, Any] = {
            "info": {},
            **read_annotations(annotation_file),
        }  # pycocotools wants one
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def get_cat_ids(
        self, cat_names: Sequence[str] = (), sup_names: Any = (), cat_ids: Any = ()
    ) -> list[int]:
        """Return the category of each name, in the order of the names.

        Raises:
            ValueError: See :func:`category_ids`.
        """
        if not len(cat_names):
            return super().get_cat_ids([], list(sup_names), list(cat_ids))
        return category_ids(self.dataset, cat_names, self.path)


def category_ids(content: Mapping[str, Any], names: Sequence[str], path: Any) -> list[int]:
    """Return the category id of each class name: that of label 0 first.

    Raises:
        ValueError: The file has no such category, or two with annotations.
    """
    names = [name.strip() for name in names]
    listed = [category["name"] for category in content["categories"]]
    if absent := [name for name in names if name not in listed]:
        raise ValueError(
            f"{path} has no category {some(absent)}; it has {some(listed)}. Set `classes` to "
            "the names to train, for example --cfg-options classes=car,person"
        )
    if repeated := [name for name in names if listed.count(name) > 1]:
        ids = [c["id"] for c in content["categories"] if c["name"] == repeated[0]]
        raise ValueError(
            f"{path} has the category name {repeated[0]!r} with the ids {ids}, each with "
            "annotations of its own: rename one of them, or give all annotations one id"
        )
    by_name = {category["name"]: category["id"] for category in content["categories"]}
    return [by_name[name] for name in names]


def read_annotations(path: str | Path) -> dict[str, list[dict]]:
    """Read an annotation file and put right what has one reading.

    UTF-8 with a byte order mark, UTF-16 and UTF-32 are decoded. Ids become whole numbers: texts of
    digits their number, other texts are numbered; those of annotations, which nothing refers to,
    are numbered anew if one is missing, 0 or a text. A missing ``iscrowd`` is 0, and ``area`` is
    that of the box where it is missing or not positive. What mmdet does not train on (marked
    ``ignore``, under 1 px, beside its image) becomes a crowd, which no test asks for either. Of
    categories of one name, those without annotations are left out. A file without
    ``annotations`` lists images alone.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not COCO's JSON, or an entry lacks a key, shares its id, or holds what
            has no reading; the message names the file and the entry.
    """
    content = _parsed(path)
    check_entries(content, path)
    for kind in ("images", "categories"):
        _number(content, kind, path)
    ids = [annotation.get("id") for annotation in content["annotations"]]
    if not all(type(i) is int and 0 < i < 10**MOST_DIGITS for i in ids):
        ids = list(range(1, len(ids) + 1))
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for annotation, number in zip(content["annotations"], ids, strict=True):
        annotation["id"] = number
        _complete(annotation, *sizes[annotation["image_id"]])
    _drop_unused_namesakes(content)
    return content


def _parsed(path: str | Path) -> dict[str, list[dict]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"annotation file {path} does not exist; set data_root")
    try:
        content = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON ({error}); is the download complete, and its encoding UTF-8?"
        ) from error
    if isinstance(content, dict) and "images" in content and "categories" in content:
        content.setdefault("annotations", [])  # as in COCO's image_info_test-dev2017.json
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{path} is not in COCO format: it has no list {key!r}")
    return content


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
    for number, annotation in enumerate(content["annotations"]):
        fault = _reference_fault(annotation, images, categories) or _number_fault(annotation)
        if fault:
            name = annotation.get("id", f"at {number} (from 0)")
            raise ValueError(f"{path}: annotation {name} {fault}")


def _known(entries: list[dict]) -> set[int | str]:
    return {key_of(entry["id"]) for entry in entries}


def _check_keys(entries: list[dict], keys: tuple[str, ...], where: str) -> None:
    for number, entry in enumerate(entries):
        absent = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if absent:
            raise ValueError(f"{where}[{number}] has no {absent[0]!r}; add it or drop the entry")


def _check_ids(entries: list[dict], where: str) -> None:
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
    if area is not None and not (_is_number(area) and math.isfinite(area)):
        return f"has area {area!r}; write its px as a number"
    if isinstance(crowd, list | dict) or crowd not in CROWD:
        return f"has iscrowd {crowd!r}; write 0 for one object, 1 for a crowd"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(content: dict, kind: str, path: str | Path) -> None:
    """Make the ids of ``kind`` whole numbers, and those that refer to them."""
    keys = [key_of(entry["id"]) for entry in content[kind]]
    are_numbers = all(isinstance(key, int) and 0 <= key < 10**MOST_DIGITS for key in keys)
    new = {key: key if are_numbers else i for i, key in enumerate(keys, 1)}
    for entry, key in zip(content[kind], keys, strict=True):
        entry["id"] = new[key]
        if kind == "categories":
            entry["name"] = str(entry["name"]).strip()
    reference = {"images": "image_id", "categories": "category_id"}[kind]
    for annotation in content["annotations"]:
        annotation[reference] = new[key_of(annotation[reference])]


def _complete(annotation: dict, width: float, height: float) -> None:
    x, y, w, h = annotation["bbox"]
    if (annotation.get("area") or 0) <= 0:
        annotation["area"] = w * h
    is_ignored = annotation.pop("ignore", False) or w < 1 or h < 1
    is_beside = min(x + w, width) <= max(x, 0) or min(y + h, height) <= max(y, 0)
    crowd = CROWD[annotation.get("iscrowd")]
    annotation["iscrowd"] = 1 if is_ignored or is_beside else crowd


def _drop_unused_namesakes(content: dict[str, list[dict]]) -> None:
    """Leave out the root category of an export tool that is called like one of its classes."""
    used = {annotation["category_id"] for annotation in content["annotations"]}
    counts = Counter(category["name"] for category in content["categories"])
    seen: set[str] = {c["name"] for c in content["categories"] if c["id"] in used}
    kept = []
    for category in content["categories"]:
        name = category["name"]
        if counts[name] > 1 and category["id"] not in used and name in seen:
            continue
        seen.add(name)
        kept.append(category)
    content["categories"] = kept


def some(names: Sequence[Any]) -> str:
    """Name the first of ``names``."""
    return ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")

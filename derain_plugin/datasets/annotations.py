"""The one reader of COCO annotation files: for training, evaluation, checks and comparisons.

pycocotools and mmdet each trip over files that have only one reading. They get that reading here,
so that what is trained on is what is asked for in a test.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCO

from derain_plugin.datasets.annotation_entries import (
    CROWD,
    MOST_DIGITS,
    are_whole_numbers,
    boxes_in,
    check_entries,
    key_of,
)
from derain_plugin.datasets.kept_files import once

SHOWN = 3


class AnnotationFile(COCO):
    """An annotation file as mmdet's dataset and metric ask for it.

    ``get_cat_ids`` keeps the order of the names, whereas mmdet's has that of the file: so label
    ``i`` is the ``i``-th class of the config whatever the file's order.

    Args:
        annotation_file: Its path.
        outlines: Whether the annotations keep their ``segmentation``.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_annotations`.
    """

    def __init__(self, annotation_file: str, *, outlines: bool = True) -> None:
        super().__init__()
        self.path = annotation_file
        self.dataset: dict[str, Any] = {
            "info": {},
            **read_annotations(annotation_file, outlines=outlines),
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


def read_annotations(path: str | Path, *, outlines: bool = True) -> dict[str, list[dict]]:
    """Read an annotation file and put right what has one reading.

    UTF-8 with a byte order mark, UTF-16 and UTF-32 are decoded. Ids become whole numbers: texts of
    digits their number, other texts are numbered; those of annotations, which nothing refers to,
    are numbered anew if one is missing, 0 or a text. A missing ``iscrowd`` is 0, and ``area`` is
    that of the box where it is missing or not positive. What mmdet does not train on (marked
    ``ignore``, under 1 px, beside its image) becomes a crowd, which no test asks for either. Of
    categories of one name, those without annotations are left out. A file without
    ``annotations`` lists images alone.

    Within :func:`files_kept` a file is read once, and all share what was read.

    Args:
        path: The file.
        outlines: Whether the annotations keep their ``segmentation``. Without them, COCO's take a
            third of the time and of the memory.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not COCO's JSON, or an entry lacks a key, shares its id, or holds what
            has no reading; the message names the file and the entry.
    """
    return once(path, outlines, lambda: _read(path, outlines))


def _read(path: str | Path, outlines: bool) -> dict[str, list[dict]]:
    with _without_garbage_collection():
        content = _parsed(path, outlines)
        check_entries(content, path)
        for kind in ("images", "categories"):
            _number(content, kind, path)
        _number_annotations(content["annotations"])
        _complete(content)
        _drop_unused_namesakes(content)
    return content


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spare the walks through millions of new objects, none of which is garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parsed(path: str | Path, outlines: bool) -> dict[str, list[dict]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"annotation file {path} does not exist; set data_root")
    try:
        content = json.loads(_text_of(path), object_hook=None if outlines else _without_outline)
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


def _text_of(path: str | Path) -> str:
    """Decode a file as ``json.loads`` would, which holds its bytes and its text until the end."""
    content = Path(path).read_bytes()
    return content.decode(json.detect_encoding(content), "surrogatepass")


def _without_outline(entry: dict) -> dict:
    """Drop an outline as soon as it is parsed: the next one takes its memory."""
    entry.pop("segmentation", None)
    return entry


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
    if are_numbers and are_whole_numbers(a[reference] for a in content["annotations"]):
        return
    for annotation in content["annotations"]:
        annotation[reference] = new[key_of(annotation[reference])]


def _number_annotations(annotations: list[dict]) -> None:
    ids: list[Any] = [annotation.get("id") for annotation in annotations]
    if are_whole_numbers(ids) and all(0 < i < 10**MOST_DIGITS for i in ids):
        return
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number


def _complete(content: dict[str, list[dict]]) -> None:
    annotations = content["annotations"]
    boxes, sizes = boxes_in(content)
    with np.errstate(invalid="ignore", over="ignore"):  # boxes are checked later
        ends = np.minimum(boxes[:, :2] + boxes[:, 2:], sizes)
    is_crowd = (ends <= np.maximum(boxes[:, :2], 0)).any(1)  # beside its image
    is_crowd |= (boxes[:, 2:] < 1).any(1)
    for annotation, becomes_crowd in zip(annotations, is_crowd.tolist(), strict=True):
        if (annotation.get("area") or 0) <= 0:
            annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
        if annotation.pop("ignore", False) or becomes_crowd:
            annotation["iscrowd"] = 1
        else:
            annotation["iscrowd"] = CROWD[annotation.get("iscrowd")]


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

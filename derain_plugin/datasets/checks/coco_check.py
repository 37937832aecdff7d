"""Find what is wrong with COCO-format folders before a training run depends on them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.config import Config

from derain_plugin.datasets.checks.image_check import damaged_images
from derain_plugin.rain.images import hint_at, missing_files

NEEDED = {
    "categories": ("id", "name"),
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area"),
}
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
SHOWN = 3


def check_datasets(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Check every ``CocoDataset`` below the data loaders of ``cfg``, reading each file once.

    The sides of a ``RainMixDataset`` may lack images: it takes the largest set that it can.

    Raises:
        FileNotFoundError: An annotation file, an image folder or a listed image is missing.
        ValueError: The annotations are not COCO, hold a bad entry or none to learn from, lack a
            class of the config, or hold a box that is not finite, has a negative size or lies
            outside its image; or images are damaged or of another size than annotated.
    """
    uses: dict[str, set[tuple[str, tuple[str, ...], bool]]] = {}
    for dataset, may_lack in _coco_datasets([cfg.get(loader) for loader in loaders]):
        root = dataset.get("data_root") or ""
        images = os.path.join(root, (dataset.get("data_prefix") or {}).get("img", ""))
        classes = (dataset.get("metainfo") or {}).get("classes") or CocoDataset.METAINFO["classes"]
        use = (images, tuple(classes), may_lack)
        uses.setdefault(os.path.join(root, dataset["ann_file"]), set()).add(use)
    for ann_file, of_file in uses.items():
        content = read_coco(ann_file)
        check_entries(content, ann_file)
        _check_boxes(content, ann_file)
        for images, classes, may_lack in sorted(of_file):
            _check_classes(content, ann_file, classes)
            _check_files(content, ann_file, images, may_lack=may_lack)
        for images in sorted({images for images, _, _ in of_file}):
            _check_images(content, ann_file, images)


def read_coco(ann_file: str) -> dict[str, list[dict]]:
    """Read an annotation file, which must exist and have the three lists of COCO."""
    if not Path(ann_file).is_file():
        raise FileNotFoundError(f"annotation file {ann_file} does not exist; set data_root")
    try:
        content = json.loads(Path(ann_file).read_bytes())
    except ValueError as error:
        raise ValueError(f"{ann_file} is not JSON ({error}); is the download complete?") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{ann_file} is not in COCO format: it has no list {key!r}")
    return content


def _coco_datasets(node: Any, in_mix: bool = False) -> Iterator[tuple[dict, bool]]:
    """Give each dataset config below ``node``, and whether it is the side of a mix."""
    if isinstance(node, dict):
        kind = node.get("type")
        if kind == "CocoDataset":
            yield node, in_mix
            return
        in_mix = in_mix or kind == "RainMixDataset"
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in node:
        yield from _coco_datasets(child, in_mix)


def _check_classes(content: dict, ann_file: str, classes: tuple[str, ...]) -> None:
    names = [category["name"] for category in content["categories"]]
    absent = [name for name in classes if name not in names]
    if absent:
        raise ValueError(
            f"{ann_file} has no category {_some(absent)}; it has {_some(names)}. Set `classes` to "
            "the names to train, for example --cfg-options classes=car,person"
        )


def _check_files(content: dict, ann_file: str, images: str, *, may_lack: bool) -> None:
    if not Path(images).is_dir():
        raise FileNotFoundError(
            f"image folder {images} does not exist; set data_root or rainy_root, or render rain "
            "on the fly with synthetic_rain=3"
        )
    if may_lack:
        return
    names = {os.path.join(images, i["file_name"]): i["file_name"] for i in content["images"]}
    absent = [names[path] for path in missing_files(names)]
    if absent:
        raise FileNotFoundError(
            f"{images} lacks {len(absent)} of the {len(content['images'])} images that {ann_file} "
            f"lists: {_some(absent)}{hint_at(images, absent[0])}. Complete the folder, correct "
            "each file_name or drop them from the annotations"
        )


def _check_images(content: dict, ann_file: str, images: str) -> None:
    if faults := damaged_images(images, content["images"]):
        raise ValueError(
            f"{len(faults)} of the {len(content['images'])} images that {ann_file} lists cannot "
            f"be used: {'; '.join(faults[:SHOWN])}{'; ...' if len(faults) > SHOWN else ''}. Copy "
            "them again, correct their annotations or drop them from the annotations"
        )


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")


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


def _check_boxes(content: dict, ann_file: str) -> None:
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for annotation in content["annotations"]:
        size = sizes.get(annotation["image_id"])
        if size is None:
            raise ValueError(
                f"{ann_file}: annotation {annotation['id']} is of image {annotation['image_id']}, "
                "which is not listed; drop it or add the image"
            )
        if not _is_inside(annotation["bbox"], *size):
            raise ValueError(
                f"{ann_file}: annotation {annotation['id']} has bbox {annotation['bbox']} "
                f"(x, y, w, h in px), which has no finite area inside its image "
                f"{annotation['image_id']} of {size[0]}x{size[1]} px; correct or drop it"
            )


def _is_inside(bbox: list[float], width: int, height: int) -> bool:
    x, y, w, h = bbox
    if not all(map(math.isfinite, bbox)) or w < 0 or h < 0:
        return False
    # COCO itself has a few boxes of zero width; mmdet skips them.
    return x <= width and y <= height and x + w >= 0 and y + h >= 0

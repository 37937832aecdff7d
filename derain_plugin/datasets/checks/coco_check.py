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

from derain_plugin.datasets.checks.coco_entries import check_entries
from derain_plugin.datasets.checks.image_check import damaged_images

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
    present = {
        str(Path(folder, name).relative_to(images))
        for folder, _, names in os.walk(images)
        for name in names
    }
    absent = [i["file_name"] for i in content["images"] if i["file_name"] not in present]
    if absent:
        raise FileNotFoundError(
            f"{images} lacks {len(absent)} of the {len(content['images'])} images that {ann_file} "
            f"lists: {_some(absent)}. Complete the folder or drop them from the annotations"
        )


def _check_images(content: dict, ann_file: str, images: str) -> None:
    if faults := damaged_images(images, content["images"]):
        raise ValueError(
            f"{len(faults)} of the {len(content['images'])} images that {ann_file} lists cannot "
            f"be used: {'; '.join(faults[:SHOWN])}{'; ...' if len(faults) > SHOWN else ''}. Copy "
            "them again, correct their annotations or drop them from the annotations"
        )


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


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")

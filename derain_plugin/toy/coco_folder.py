"""Write the toy data as a COCO-format folder that any mmdet config can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
from mmengine.logging import print_log
from tqdm import tqdm

from derain_plugin.toy.scene import Scene, render_scene
from derain_plugin.toy.shapes import CLASSES
from derain_plugin.whole_file import partial_of, write_whole

TOY_VERSION = 1
"""Raise it with every change that moves a pixel or a box."""

MARKER = "toy_coco.json"
JPEG_QUALITY = 92
SIZES_OF_SPLITS = {"train": 1000, "val": 100, "test": 200}


def make_toy_coco(
    root: str | Path, *, num_images: Mapping[str, int] | None = None, seed: int = 0
) -> dict[str, int]:
    """Fill ``root`` with JPEG pictures and COCO annotations in the layout of COCO 2017.

    ``train2017/``, ``val2017/``, ``test2017/`` and ``annotations/instances_*2017.json``. The
    same arguments give the same files. An interrupted run is continued: finished pictures stay,
    and half-written ones never appear.

    Args:
        root: Folder, made if needed; one that holds anything else is refused.
        num_images: Pictures of each split; default ``SIZES_OF_SPLITS``.
        seed: Another seed gives other pictures.

    Returns:
        How many pictures were written now, per split.

    Raises:
        ValueError: ``root`` is not empty and not toy data of the same arguments, or a number
            is not positive.
        ImportError: scikit-image, which ships the backgrounds, is not installed.
    """
    root, num_images = Path(root), dict(num_images or SIZES_OF_SPLITS)
    if set(num_images) != set(SIZES_OF_SPLITS) or any(n < 1 for n in num_images.values()):
        raise ValueError(f"num_images needs at least 1 for train, val and test, got {num_images}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    _claim(root, dict(version=TOY_VERSION, seed=seed, num_images=num_images))
    return {split: _write_split(root, split, count, seed) for split, count in num_images.items()}


def _claim(root: Path, arguments: dict) -> None:
    """Mark ``root`` as toy data of these arguments, unless it is something else."""
    marker = root / MARKER
    if marker.is_file():
        found = json.loads(marker.read_text())
        if found != arguments:
            raise ValueError(
                f"{root} holds toy data of other arguments ({found}, wanted {arguments}): "
                "choose another folder, or delete this one"
            )
        return
    if root.exists() and not (root.is_dir() and set(root.iterdir()) <= {partial_of(marker)}):
        raise ValueError(f"{root} is not empty and was not made by this command: choose another")
    root.mkdir(parents=True, exist_ok=True)
    write_whole(marker, json.dumps(arguments))


def _write_split(root: Path, split: str, count: int, seed: int) -> int:
    folder = root / f"{split}2017"
    annotation_file = root / "annotations" / f"instances_{split}2017.json"
    if annotation_file.is_file():
        print_log(f"{folder}: all {count} pictures are there", logger="current")
        return 0
    folder.mkdir(exist_ok=True)
    annotation_file.parent.mkdir(exist_ok=True)
    # As in COCO no id is in two splits, so that no two pictures get the same rain.
    first_id = 1 + 1_000_000 * list(SIZES_OF_SPLITS).index(split)
    written = 0
    images: list[dict] = []
    annotations: list[dict] = []
    for index in tqdm(range(count), desc=folder.name, unit="image"):
        scene = render_scene(split, index, seed=seed)
        height, width = scene.image.shape[:2]
        image_id = first_id + index
        name = f"{image_id:012d}.jpg"
        images.append(dict(id=image_id, file_name=name, width=width, height=height))
        annotations += _annotations(scene, image_id=image_id, first_id=len(annotations) + 1)
        if not (folder / name).is_file():
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            write_whole(folder / name, cv2.imencode(".jpg", scene.image, quality)[1].tobytes())
            written += 1
    categories = [dict(id=label + 1, name=name) for label, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    write_whole(annotation_file, json.dumps(content))  # last: it says that all are there
    return written


def _annotations(scene: Scene, *, image_id: int, first_id: int) -> list[dict]:
    found = zip(scene.labels.tolist(), scene.boxes.tolist(), scene.areas.tolist(), strict=True)
    return [
        dict(
            id=first_id + i, image_id=image_id, category_id=label + 1,
            bbox=box, area=area, iscrowd=0,
        )
        for i, (label, box, area) in enumerate(found)
    ]  # fmt: skip

"""Write embedded data as a COCO-format folder that any mmdet config can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
from tqdm import tqdm

from derain_plugin.files import atomic_write, partial_of
from derain_plugin.rain.worker_pool import worker_pool
from projects.study.toy.scene import Scene, render_scene
from projects.study.toy.shapes import CLASSES

TOY_VERSION = 1
"""Raise it with every change that moves a pixel or a box."""

MARKER = "toy_coco.json"
JPEG_QUALITY = 92
SIZES_OF_SPLITS = {"train": 1000, "val": 100, "test": 200}

Image = tuple[Scene, bytes]
"""What an image shows, and its JPEG file."""


@dataclass(frozen=True)
class ImageSource:
    """What a COCO-format folder is filled from.

    Attributes:
        kind: Name for people, such as "toy data".
        marker: Name of the file in the folder that tells what it was made with.
        version: Of what ``render`` draws.
        classes: Names of the categories.
        render: ``render(split, index, seed=seed)`` gives one image; a function of a module,
            so that worker processes find it.
    """

    kind: str
    marker: str
    version: int
    classes: tuple[str, ...]
    render: Callable[..., Scene]


def make_toy_coco(
    root: str | Path, *, num_images: Mapping[str, int] | None = None, seed: int = 0
) -> dict[str, int]:
    """Fill ``root`` with the toy data, ``SIZES_OF_SPLITS`` images if nothing else is said.

    See :func:`make_coco_folder`, also for the errors. The backgrounds need scikit-image.
    """
    toy = ImageSource("toy data", MARKER, TOY_VERSION, CLASSES, render_scene)
    return make_coco_folder(root, toy, num_images=num_images or SIZES_OF_SPLITS, seed=seed)


def make_coco_folder(
    root: str | Path,
    source: ImageSource,
    *,
    num_images: Mapping[str, int],
    seed: int,
    num_workers: int = 0,
) -> dict[str, int]:
    """Fill ``root`` with JPEG images and COCO annotations in the layout of COCO 2017.

    ``train2017/``, ``val2017/``, ``test2017/`` and ``annotations/instances_*2017.json``. The
    same arguments give the same files, whatever the number of processes. An interrupted run is
    continued: finished images stay, and half-written ones never appear.

    Args:
        root: Folder, made if needed; one that holds anything else is refused.
        source: What to draw.
        num_images: Images of ``train``, ``val`` and ``test``.
        seed: Another seed gives other images.
        num_workers: Processes that draw; 0 draws in this one.

    Returns:
        How many images were written now, per split.

    Raises:
        ValueError: ``root`` is not empty and was not made with the same arguments, or a number
            is out of range.
        ImportError: A package that ships photographs is not installed.
    """
    root, num_images = Path(root), dict(num_images)
    if set(num_images) != set(SIZES_OF_SPLITS) or any(n < 1 for n in num_images.values()):
        raise ValueError(f"num_images needs at least 1 for train, val and test, got {num_images}")
    for name, number in dict(seed=seed, num_workers=num_workers).items():
        if number < 0:
            raise ValueError(f"{name} must not be negative, got {number}")
    _claim(root, source, dict(version=source.version, seed=seed, num_images=num_images))
    with _mapping(num_workers) as mapping:
        return {
            split: _write_split(
                root, source, split, partial(mapping, partial(_draw, source, split, seed)), count
            )
            for split, count in num_images.items()
        }


def _claim(root: Path, source: ImageSource, arguments: dict) -> None:
    """Mark ``root`` as data of these arguments, unless it is something else."""
    marker = root / source.marker
    if marker.is_file():
        found = json.loads(marker.read_text())
        if found != arguments:
            raise ValueError(
                f"{root} holds {source.kind} of other arguments ({found}, wanted {arguments}): "
                "choose another folder, or delete this one"
            )
        return
    if root.exists() and not (root.is_dir() and set(root.iterdir()) <= {partial_of(marker)}):
        raise ValueError(f"{root} is not empty and was not made by this command: choose another")
    root.mkdir(parents=True, exist_ok=True)
    atomic_write(marker, json.dumps(arguments))


@contextmanager
def _mapping(num_workers: int) -> Iterator[Callable[..., Iterable[Image]]]:
    """Give ``map``, of this process or of others; results come in order."""
    if num_workers == 0:
        yield map
        return
    with worker_pool(num_workers) as pool:
        yield partial(pool.map, chunksize=8)


def _draw(source: ImageSource, split: str, seed: int, index: int) -> Image:
    scene = source.render(split, index, seed=seed)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return scene, cv2.imencode(".jpg", scene.image, quality)[1].tobytes()


def _write_split(
    root: Path,
    source: ImageSource,
    split: str,
    draw: Callable[[Iterable[int]], Iterable[Image]],
    count: int,
) -> int:
    folder = root / f"{split}2017"
    annotation_file = root / "annotations" / f"instances_{split}2017.json"
    if annotation_file.is_file():
        print(f"{folder}: all {count} images are there")
        return 0
    folder.mkdir(exist_ok=True)
    annotation_file.parent.mkdir(exist_ok=True)
    # As in COCO no id is in two splits, so that no two images get the same rain.
    first_id = 1 + 1_000_000 * list(SIZES_OF_SPLITS).index(split)
    written = 0
    images: list[dict] = []
    annotations: list[dict] = []
    drawn = tqdm(draw(range(count)), total=count, desc=folder.name, unit="image")
    for image_id, (scene, jpeg) in enumerate(drawn, first_id):
        height, width = scene.image.shape[:2]
        name = f"{image_id:012d}.jpg"
        images.append(dict(id=image_id, file_name=name, width=width, height=height))
        annotations += _annotations(scene, image_id=image_id, first_id=len(annotations) + 1)
        if not (folder / name).is_file():
            atomic_write(folder / name, jpeg)
            written += 1
    categories = [dict(id=label + 1, name=name) for label, name in enumerate(source.classes)]
    content = dict(images=images, annotations=annotations, categories=categories)
    atomic_write(annotation_file, json.dumps(content))  # last: it says that all are there
    return written


def _annotations(scene: Scene, *, image_id: int, first_id: int) -> list[dict]:
    found = zip(scene.labels.tolist(), scene.boxes.tolist(), scene.areas.tolist(), strict=True)
    annotations = [
        dict(
            id=first_id + i, image_id=image_id, category_id=label + 1,
            bbox=box, area=area, iscrowd=0,
        )
        for i, (label, box, area) in enumerate(found)
    ]  # fmt: skip
    for annotation, note in zip(annotations, scene.notes, strict=False):
        annotation.update(note)
    return annotations

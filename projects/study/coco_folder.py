"""The study's data as a COCO-format folder, and what it holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write
from derain_plugin.rain import image_seed, render_rain
from projects.study.difficulty import DATA_VERSION
from projects.study.glyphs import CLASSES
from projects.study.photos import PHOTOS
from projects.study.scene import render_study_scene
from projects.study.toy.coco_folder import ImageSource, make_coco_folder

SIZES_OF_SPLITS = {"train": 2000, "val": 500, "test": 500}
STUDY = ImageSource("study data", "study_coco.json", DATA_VERSION, CLASSES, render_study_scene)
SMALL, LARGE = 32**2, 96**2
"""COCO's limits between small, medium and large, px of area."""

OCCLUDED = 0.9
"""An object is counted as occluded where less than this share of it is visible."""

SHOWN_SEVERITY = 4
_TILE, _COLUMNS, _SHOWN = 192, 6, 12


def make_study_coco(
    root: str | Path,
    *,
    num_images: Mapping[str, int] | None = None,
    seed: int = 0,
    num_workers: int = 0,
) -> dict[str, int]:
    """Fill ``root`` with the study's data, ``SIZES_OF_SPLITS`` images if nothing else is said.

    See :func:`projects.study.toy.coco_folder.make_coco_folder`, also for the errors. Annotations
    have further fields: ``visible``, the share of the object's own pixels that are visible,
    ``glyph`` and ``style``.
    """
    return make_coco_folder(
        root, STUDY, num_images=num_images or SIZES_OF_SPLITS, seed=seed, num_workers=num_workers
    )


def count_split(root: Path, split: str) -> dict[str, Any]:
    """Count one split.

    Returns:
        ``images``, ``objects``, ``objects_per_image``, ``small``, ``medium``, ``large`` and
        ``occluded`` (shares of the objects), ``photos``, ``per_class`` and ``per_style``.

    Raises:
        FileNotFoundError: The split is not there.
    """
    content = _annotations(root, split)
    objects = content["annotations"]
    names = {category["id"]: category["name"] for category in content["categories"]}
    areas = np.array([found["area"] for found in objects])
    visible = np.array([found["visible"] for found in objects])
    classes = Counter(names[found["category_id"]] for found in objects)
    return dict(
        images=len(content["images"]),
        objects=len(objects),
        objects_per_image=round(len(objects) / len(content["images"]), 2),
        small=_share(areas < SMALL),
        medium=_share((areas >= SMALL) & (areas < LARGE)),
        large=_share(areas >= LARGE),
        occluded=_share(visible < OCCLUDED),
        photos=len(PHOTOS[split]),
        per_class={name: classes[name] for name in names.values()},
        per_style=dict(sorted(Counter(found["style"] for found in objects).items())),
    )


def write_statistics(root: Path, out: Path) -> None:
    """Write ``data.md``, ``data.json`` and ``data.jpg`` into the folder ``out``."""
    counted = {split: count_split(root, split) for split in PHOTOS}
    made_with = json.loads((root / STUDY.marker).read_text())
    machine = describe_machine()
    report = dict(made_with=made_with, splits=counted, **machine)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "data.json", json.dumps(report, indent=1))
    atomic_write(out / "data.md", _text(counted, made_with, machine))
    jpeg = cv2.imencode(".jpg", contact_sheet(root), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    atomic_write(out / "data.jpg", jpeg.tobytes())


def contact_sheet(root: Path) -> np.ndarray:
    """Return images of the validation split, each above itself in rain: ``(H, W, 3)`` BGR."""
    images = _annotations(root, "val")["images"][:_SHOWN]
    tiles = [_tile(root, image) for image in images]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)])


def _tile(root: Path, image: dict) -> np.ndarray:
    path = root / "val2017" / image["file_name"]
    clean = cv2.imread(str(path))
    if clean is None:
        raise ValueError(f"cannot read {path} as an image: make the data again")
    rainy = render_rain(clean, SHOWN_SEVERITY, seed=image_seed(0, image["id"]))
    return np.vstack(
        [cv2.resize(p, (_TILE, _TILE), interpolation=cv2.INTER_AREA) for p in (clean, rainy)]
    )


def _annotations(root: Path, split: str) -> dict:
    file = root / "annotations" / f"instances_{split}2017.json"
    if not file.is_file():
        raise FileNotFoundError(f"there is no {file}: make the data first")
    return json.loads(file.read_text())


def _share(found: np.ndarray) -> float:
    return round(float(found.mean()), 3)


def _text(counted: dict[str, dict], made_with: dict, machine: dict[str, str]) -> str:
    rows = [key for key in counted["train"] if not key.startswith("per_")]
    blocks = [_table(counted, {row: [c[row] for c in counted.values()] for row in rows})]
    for key in ("per_class", "per_style"):
        names = sorted({name for c in counted.values() for name in c[key]})
        blocks.append(
            _table(counted, {n: [c[key].get(n, 0) for c in counted.values()] for n in names})
        )
    blocks.append(
        f"`python tools/make_study_coco.py`, seed {made_with['seed']}, data version "
        f"{made_with['version']}, {machine['date']}, commit {machine['commit']}. Small, medium and "
        "large by COCO's limits on the area of the visible box; occluded: less than "
        f"{OCCLUDED:.0%} visible. Shares are of all objects."
    )
    return "\n\n".join(blocks) + "\n"


def _table(counted: dict[str, dict], rows: dict[str, list]) -> str:
    lines = [["", *counted], ["---", *["---:"] * len(counted)]]
    lines += [[name.replace("_", " "), *map(str, values)] for name, values in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

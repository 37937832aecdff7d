"""Write the study's data as a COCO-format folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from projects.study.difficulty import DATA_VERSION
from projects.study.glyphs import CLASSES
from projects.study.scene import render_study_scene
from projects.study.toy.coco_folder import ImageSource, make_coco_folder

SIZES_OF_SPLITS = {"train": 2000, "val": 500, "test": 500}
STUDY = ImageSource("study data", "study_coco.json", DATA_VERSION, CLASSES, render_study_scene)


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

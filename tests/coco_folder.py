"""Write a small COCO-format folder (mmdet layout) of real photos with drawn boxes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry")


def write_coco_folder(
    root: Path, num_images: int = 10, classes: tuple[str, ...] = ("square", "disc"), size: int = 160
) -> Path:
    """Fill ``root`` with ``train2017``, ``val2017`` (JPEG) and their ``annotations``."""
    for split in ("train2017", "val2017"):
        (root / split).mkdir(parents=True)
        (root / "annotations").mkdir(exist_ok=True)
        rng = np.random.default_rng(len(split) + num_images)
        images, annotations = [], []
        for image_id in range(1, num_images + 1):
            photo = getattr(data, PHOTOS[image_id % len(PHOTOS)])()
            height, width = size, size + 16 * (image_id % 4)
            canvas = cv2.resize(photo[..., 2::-1], (width, height), interpolation=cv2.INTER_AREA)
            for _ in range(3):
                side = int(rng.integers(size // 6, size // 3))
                x, y = int(rng.integers(width - side)), int(rng.integers(height - side))
                category = int(rng.integers(len(classes)))
                _draw(canvas, category, x, y, side)
                annotations.append(
                    dict(
                        id=len(annotations) + 1, image_id=image_id, category_id=category + 1,
                        bbox=[x, y, side, side], area=side * side, iscrowd=0,
                    )
                )  # fmt: skip
            name = f"{image_id:012d}.jpg"
            cv2.imwrite(str(root / split / name), canvas)
            images.append(dict(id=image_id, file_name=name, height=height, width=width))
        categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
        content = dict(images=images, annotations=annotations, categories=categories)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def conditions_cfg(
    root: Path, pipelines: Sequence[list[dict]], *, kind: str = "ConcatDataset"
) -> dict[str, Any]:
    """The validation images of such a folder under several conditions, one per pipeline."""
    one = dict(
        type="CocoDataset",
        data_root=str(root),
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img="val2017"),
        metainfo=dict(classes=("square", "disc")),
        test_mode=True,
    )
    return dict(type=kind, datasets=[dict(one, pipeline=pipeline) for pipeline in pipelines])


def _draw(canvas: np.ndarray, category: int, x: int, y: int, side: int) -> None:
    color = (40, 60 + 60 * category, 220 - 80 * category)
    if category % 2 == 0:
        cv2.rectangle(canvas, (x, y), (x + side - 1, y + side - 1), color, -1)
    else:
        cv2.circle(canvas, (x + side // 2, y + side // 2), side // 2, color, -1)

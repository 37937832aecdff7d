"""Two-sided datasets of ten small photos for the tests of RainMixDataset."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from derain_plugin.datasets import RainMixDataset

ANN_FILE = "annotations/instances_train2017.json"
PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path")),
]


def black_copy(tmp_path: Path, source: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    for path in (copy / "train2017").iterdir():
        cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path))))
    return copy


def side(root: Path, **options) -> dict:
    return dict(
        type="CocoDataset",
        data_root=str(root),
        ann_file=ANN_FILE,
        data_prefix=dict(img="train2017/"),
        metainfo=dict(classes=("square", "disc")),
        pipeline=PIPELINE,
        serialize_data=False,  # a garbage collection each, slow in a process with many modules
    ) | dict(options)


def mix(roots: tuple[Path, Path], clean: dict | None = None, rainy: dict | None = None, **options):
    return RainMixDataset(
        side(roots[0], **(clean or {})), side(roots[1], **(rainy or {})), **options
    )


def names(dataset: RainMixDataset) -> list[str]:
    return [Path(dataset.get_data_info(i)["img_path"]).name for i in range(len(dataset))]


def rain_flags(dataset: RainMixDataset) -> list[bool]:
    return [dataset.get_data_info(i)["rainy"] for i in range(len(dataset))]


def edit_annotations(root: Path, edit) -> None:
    path = root / ANN_FILE
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def keep_images(root: Path, ids: range) -> None:
    edit_annotations(
        root, lambda c: c.update(images=[image for image in c["images"] if image["id"] in ids])
    )

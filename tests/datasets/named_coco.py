"""Annotation files whose images nobody reads, and what a perfect detector scores on them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from mmdet.registry import DATASETS, METRICS

SIZE = 64
BOXES = {1: [("square", [4, 6, 20, 30])], 2: [("disc", [30, 8, 24, 24]), ("square", [2, 40, 9, 9])]}


def content(names=("square", "disc"), boxes=BOXES) -> dict:
    """Two images, three boxes, and categories numbered from 1 in the order of ``names``."""
    ids = {name: i for i, name in enumerate(names, 1)}
    found = [(image, name, box) for image, named in boxes.items() for name, box in named]
    return dict(
        images=[dict(id=i, file_name=f"{i}.jpg", width=SIZE, height=SIZE) for i in boxes],
        annotations=[
            dict(
                id=number, image_id=image, category_id=ids[name], bbox=box,
                area=box[2] * box[3], iscrowd=0,
            )
            for number, (image, name, box) in enumerate(found, 1)
        ],
        categories=[dict(id=i, name=name) for name, i in ids.items()],
    )  # fmt: skip


def write(path: Path, written: dict) -> str:
    path.write_text(json.dumps(written))
    return str(path)


def dataset(ann_file: str, classes=("square", "disc"), **options):
    return DATASETS.build(
        dict(
            type="NamedCocoDataset", ann_file=ann_file, data_prefix=dict(img=""), pipeline=[],
            metainfo=dict(classes=classes), **options,
        )
    )  # fmt: skip


def truth(ann_file: str, classes=("square", "disc")) -> list[dict]:
    """What a detector should find: boxes and class names of each image as it was trained."""
    trained = dataset(ann_file, classes)
    return [
        dict(
            img_id=info["img_id"],
            boxes=[i["bbox"] for i in info["instances"] if not i["ignore_flag"]],
            names=[classes[i["bbox_label"]] for i in info["instances"] if not i["ignore_flag"]],
        )
        for info in trained
    ]


def samples(found: list[dict], classes) -> list[dict]:
    """Predictions of ``found`` as an evaluator gets them."""
    return [
        dict(
            img_id=image["img_id"],
            ori_shape=(SIZE, SIZE),
            pred_instances=dict(
                bboxes=torch.tensor(image["boxes"], dtype=torch.float32).reshape(-1, 4),
                labels=torch.tensor([classes.index(name) for name in image["names"]]),
                scores=torch.ones(len(image["names"])),
            ),
        )
        for image in found
    ]


def scores(ann_file: str, found: list[dict], classes=("square", "disc"), **options) -> dict:
    metric = METRICS.build(dict(type="NamedCocoMetric", ann_file=ann_file, **options))
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, samples(found, list(classes)))
    return metric.evaluate(len(found))


def average_precision(ann_file: str, found: list[dict], classes=("square", "disc")) -> float:
    return scores(ann_file, found, classes)["coco/bbox_mAP"]

"""Find what is wrong with COCO-format folders before a training run depends on them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.config import Config

from derain_plugin.datasets.annotations import category_ids, read_annotations, some
from derain_plugin.datasets.checks.box_check import check_boxes
from derain_plugin.datasets.checks.image_check import damaged_images
from derain_plugin.datasets.label_map import (
    Names,
    configured_classes,
    datasets_in,
    listed,
    type_of,
)
from derain_plugin.datasets.named_coco_dataset import NamedCocoDataset
from derain_plugin.rain.images import hint_at, missing_files

READERS = (CocoDataset.load_data_list, NamedCocoDataset.load_data_list)
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
SHOWN = 3


def check_datasets(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Check every ``CocoDataset`` below the data loaders of ``cfg``, reading each file once.

    The sides of a ``RainMixDataset`` may lack images: it takes the largest set that it can.

    Raises:
        FileNotFoundError: An annotation file, an image folder or a listed image is missing.
        ValueError: The annotations are not COCO, hold a bad entry or none to learn from, lack a
            class of the config, or hold a box that is not finite, has a negative size, lies
            outside its image or is no x, y, w, h in px; a metric scores by another file than its
            data loader reads; or images are damaged or of another size than annotated.
    """
    uses: dict[str, set[tuple[str, bool, bool]]] = {}
    classes = configured_classes(cfg, loaders) or ()
    pairs = [(pair, loader) for loader in loaders for pair in datasets_in(cfg.get(loader))]
    needed = set()  # files that must have boxes
    for (dataset, may_lack), loader in pairs:
        kind: Any = type_of(dataset)
        if not issubclass(kind, CocoDataset) or kind.load_data_list not in READERS:
            continue
        root = dataset.get("data_root") or ""
        images = os.path.join(root, (dataset.get("data_prefix") or {}).get("img", ""))
        use = (images, may_lack, kind.COCOAPI is CocoDataset.COCOAPI)
        file = os.path.join(root, dataset["ann_file"])
        uses.setdefault(file, set()).add(use)
        if not _only_writes(cfg.get(loader.replace("dataloader", "evaluator"))):
            needed.add(file)
    for loader in loaders:
        _check_evaluator(cfg, loader)
    outlines = _asks_for_masks(cfg)  # as the run will read them
    for ann_file, of_file in uses.items():
        content = read_annotations(ann_file, outlines=outlines)
        if ann_file in needed:
            _check_objects(content, ann_file)
        check_boxes(content, ann_file)
        for images, may_lack, follows_file in sorted(of_file):
            _check_classes(content, ann_file, classes, follows_file=follows_file)
            _check_files(content, ann_file, images, may_lack=may_lack)
        for images in sorted({images for images, _, _ in of_file}):
            _check_images(content, ann_file, images)


def _check_evaluator(cfg: Config, loader: str) -> None:
    """Refuse a metric that scores detections by the annotations of other data."""
    used = {_ann_file(dataset) for dataset, _ in datasets_in(cfg.get(loader))}
    evaluator = loader.replace("dataloader", "evaluator")
    for metric, _ in datasets_in(cfg.get(evaluator)):
        file = metric["ann_file"]
        if used and file and os.path.normpath(file) not in used:
            raise ValueError(
                f"{evaluator} scores by {file}, but {loader} reads {', '.join(sorted(used))}: give "
                "both the same ann_file"
            )


def _only_writes(evaluator: Any) -> bool:
    """Whether detections are written for others to score, as those of COCO's test-dev are."""
    metrics = [metric for metric, _ in datasets_in(evaluator)]
    return bool(metrics) and all(metric.get("format_only") for metric in metrics)


def _asks_for_masks(node: Any) -> bool:
    if isinstance(node, Mapping):
        return bool(node.get("with_mask")) or any(map(_asks_for_masks, node.values()))
    return isinstance(node, list | tuple) and any(map(_asks_for_masks, node))


def _ann_file(dataset: Mapping) -> str:
    return os.path.normpath(os.path.join(dataset.get("data_root") or "", dataset["ann_file"]))


def _check_classes(content: dict, ann_file: str, classes: Names, *, follows_file: bool) -> None:
    """Compare the order, too, for a type of mmdet that numbers labels as the file does."""
    ids = category_ids(content, classes, ann_file)
    in_file = [c["name"] for c in content["categories"] if c["id"] in ids]
    if follows_file and in_file != list(classes):
        raise ValueError(
            f"{ann_file} lists the categories {listed(tuple(in_file))}, the config the classes "
            f"{listed(classes)}, and this type of dataset numbers labels in the file's order: use "
            "NamedCocoDataset, or one order for both"
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
            f"lists: {some(absent)}{hint_at(images, absent[0])}. Complete the folder, correct "
            "each file_name or drop them from the annotations"
        )


def _check_images(content: dict, ann_file: str, images: str) -> None:
    if faults := damaged_images(images, content["images"]):
        raise ValueError(
            f"{len(faults)} of the {len(content['images'])} images that {ann_file} lists cannot "
            f"be used: {'; '.join(faults[:SHOWN])}{'; ...' if len(faults) > SHOWN else ''}. Copy "
            "them again, correct their annotations or drop them from the annotations"
        )


def _check_objects(content: dict, ann_file: str) -> None:
    if all(annotation["iscrowd"] for annotation in content["annotations"]):
        raise ValueError(
            f"{ann_file} has no box to learn from: {len(content['annotations'])} annotations, all "
            "of them crowds (iscrowd 1), marked ignore or under 1 px; annotate single objects"
        )

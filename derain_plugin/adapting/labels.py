"""Photographs with boxes: a COCO file, read with the labels of the detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from mmengine.structures import InstanceData
from torch import nn

from derain_plugin.adapting.average_precision import coco_of, mean_precision, precision_of
from derain_plugin.adapting.detection_loss import require_loss
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.photos import find_photos, folder_of
from derain_plugin.config.loading import first_dataset
from derain_plugin.datasets.annotations import read_annotations
from derain_plugin.datasets.label_map import named_classes
from derain_plugin.rain.images import read_image

SHOWN = 5  # classes in the table, those with most boxes


@dataclass(frozen=True)
class LabelledPhotos:
    """Photographs and their boxes.

    Attributes:
        source: The COCO file.
        objects: Of each photo ``bboxes``, ``(n, 4)`` xyxy in px, ``labels`` of the detector, and
            ``is_crowd``.
        left_out: Names in the file that the detector has no label for; their boxes are left out.
    """

    source: Path
    objects: dict[Path, InstanceData]
    left_out: list[str]

    @property
    def warning(self) -> str:
        """Say what was left out; empty if nothing was."""
        if not self.left_out:
            return ""
        unknown = ", ".join(self.left_out)
        return f"{self.source}: the detector knows no {unknown}; their boxes are left out"


def names_of(model: Any) -> list[str]:
    """Return the names of a detector's labels.

    Raises:
        ValueError: It has none.
    """
    if isinstance(model, BaseDetector):
        names = (getattr(model, "dataset_meta", None) or {}).get("classes")
        if not names and getattr(model, "cfg", None) is not None:  # converted weights name none
            names = named_classes(model.cfg.model, first_dataset(model.cfg, type(model).__name__))
        if not names:
            raise ValueError(
                f"the {type(model).__name__} has no dataset_meta with classes, so nothing says "
                "what its labels mean: load it with mmdet's init_detector"
            )
        return list(names)
    config = getattr(model.config, "rtdetr_config", model.config)
    return [config.id2label[label] for label in sorted(config.id2label)]


def read_labels(annotations: str | Path, model: nn.Module) -> LabelledPhotos:
    """Read a COCO file; photos that cannot be read are left out.

    Args:
        annotations: Its images are in its folder, or beside it as COCO has them.
        model: Whose labels the categories become, by name in whatever case.

    Raises:
        FileNotFoundError: There is no such file, or none of its images.
        ValueError: It cannot be used, or has no box of a class that the detector knows.
    """
    path = Path(annotations).expanduser()
    content, folder = read_annotations(path, outlines=False), folder_of(path)
    labels, left_out = _labels_by_category(content, names_of(model), path)
    boxes: dict[int, list[dict]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["category_id"] in labels:
            boxes[annotation["image_id"]].append(annotation)
    readable = set(find_photos([path]).paths)
    objects = {
        folder / image["file_name"]: _instances(boxes[image["id"]], labels)
        for image in content["images"]
        if folder / image["file_name"] in readable
    }
    return LabelledPhotos(path, objects, left_out)


def _labels_by_category(
    content: dict[str, list[dict]], names: Sequence[str], path: Path
) -> tuple[dict[int, int], list[str]]:
    """Return the detector's label of each category with boxes, and names that have none."""
    known = {_key(name): label for label, name in enumerate(names)}
    used = {annotation["category_id"] for annotation in content["annotations"]}
    in_use = {c["id"]: c["name"] for c in content["categories"] if c["id"] in used}
    labels = {i: known[_key(name)] for i, name in in_use.items() if _key(name) in known}
    left_out = [str(name) for i, name in in_use.items() if i not in labels]
    if not labels:
        raise ValueError(
            f"{path} has {', '.join(left_out) or 'no boxes'}, and the detector knows "
            f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}: give the categories "
            "its names"
        )
    return labels, left_out


def read_all_labels(photos: Sequence[str | Path], model: nn.Module) -> list[LabelledPhotos]:
    """Read all photos to train on.

    Raises:
        ValueError: A source is no COCO file, or see :func:`read_labels`; or the detector cannot
            compute its loss.
    """
    if other := [str(source) for source in photos if Path(source).suffix.lower() != ".json"]:
        raise ValueError(
            f"training with labels needs photos as COCO files, got {other[0]}: name the json with "
            "their boxes, or leave labels out"
        )
    require_loss(model)
    return [read_labels(source, model) for source in photos]


def objects_of(read: Sequence[LabelledPhotos]) -> dict[Path, InstanceData]:
    """Return the objects of each photo of all files."""
    return {photo: objects for each in read for photo, objects in each.objects.items()}


def _key(name: str) -> str:
    return str(name).strip().casefold()


def _instances(annotations: Sequence[dict], labels: dict[int, int]) -> InstanceData:
    boxes = torch.tensor([a["bbox"] for a in annotations], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return InstanceData(
        bboxes=boxes,
        labels=torch.tensor([labels[a["category_id"]] for a in annotations], dtype=torch.long),
        is_crowd=torch.tensor([bool(a["iscrowd"]) for a in annotations], dtype=torch.bool),
    )


@dataclass(frozen=True)
class LabelledAP:
    """COCO's AP with labels, of photographs as they are, before and after.

    Attributes:
        source: The COCO file.
        num_photos: Photos.
        rows: By what is measured (``AP``, ``AP50``, classes by name): boxes, before, after.
    """

    source: Path
    num_photos: int
    rows: dict[str, tuple[int, float, float]]

    def table(self) -> str:
        """Return it for people to read."""
        lines = [
            f"AP with the labels of {self.source}: {self.num_photos} photos as they are, no rain "
            "added.",
            f"{'':<16}{'boxes':>8}{'before':>8}{'after':>8}{'change':>8}",
        ]
        for name, (count, before, after) in self.rows.items():
            lines.append(f"{name:<16}{count:>8}{before:>8.3f}{after:>8.3f}{after - before:>+8.3f}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return it as json takes it."""
        rows = {
            name: dict(boxes=count, before=round(before, 4), after=round(after, 4))
            for name, (count, before, after) in self.rows.items()
        }
        return dict(source=self.source.name, num_photos=self.num_photos, rows=rows)


def measure_ap(
    detector: FrozenDetector,
    labelled: LabelledPhotos,
    *,
    on_photo: Callable[[], object] = lambda: None,
) -> LabelledAP:
    """Compare a detector without and with its de-rain neck by labels.

    Args:
        detector: With the neck that was trained.
        labelled: Photographs that were not trained on.
        on_photo: Called after each photo.
    """
    before, after, sizes = [], [], []
    for photo in labelled.objects:
        image = read_image(photo)
        sizes.append(image.shape[:2])
        after.append(detector.detect(image))
        with detector.plain():
            before.append(detector.detect(image))
        on_photo()
    truth = coco_of(list(labelled.objects.values()), sizes)
    both = [precision_of(truth, found) for found in (before, after)]
    labels = np.array([a["category_id"] for a in truth.anns.values() if not a["iscrowd"]], int)
    names = names_of(detector.model)
    rows = {"AP": _row(len(labels), *both), "AP50": _row(len(labels), *(p[0] for p in both))}
    values, counts = np.unique(labels, return_counts=True)
    for index in np.argsort(-counts, kind="stable")[:SHOWN]:
        column = truth.getCatIds().index(values[index])
        rows[names[values[index]]] = _row(int(counts[index]), *(p[..., column] for p in both))
    return LabelledAP(labelled.source, len(sizes), rows)


def _row(count: int, before: np.ndarray, after: np.ndarray) -> tuple[int, float, float]:
    return count, mean_precision(before), mean_precision(after)

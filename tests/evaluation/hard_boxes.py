"""Random ground truth and detections on which evaluators may differ.

Crowds, areas that are not those of the boxes, equal scores within and across images, the same box
twice, hundreds of detections of one class, images and classes without boxes or detections, ids that
float64 cannot hold, annotations in any order.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from derain_plugin.evaluation.saved_predictions import SavedPredictions


@dataclass(frozen=True)
class HardCase:
    predictions: SavedPredictions
    annotations: list[dict]
    category_ids: list[int]  # in the order of the labels

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(f"class {i}" for i in self.category_ids)

    def write(self, path: Path) -> str:
        """Write the annotation file, with an image that nobody predicts."""
        ids = [*self.predictions.image_ids.tolist(), 10**17 + 1]
        content = dict(
            images=[dict(id=i, file_name=f"{i}.jpg", width=300, height=300) for i in ids[::-1]],
            annotations=[dict(a, area=a["area"] or 1e-3) for a in self.annotations],
            categories=[
                dict(id=i, name=name)
                for i, name in zip(self.category_ids, self.classes, strict=True)
            ],
        )
        path.write_text(json.dumps(content))
        return str(path)

    def samples(self) -> list[dict]:
        """The detections as a metric gets them."""
        found, samples = self.predictions, []
        for i, piece in enumerate(found.split(1)):
            instances = dict(bboxes=piece.boxes, scores=piece.scores, labels=piece.labels)
            tensors = {name: torch.from_numpy(array) for name, array in instances.items()}
            img_id = int(found.image_ids[i])
            samples.append(dict(img_id=img_id, ori_shape=(300, 300), pred_instances=tensors))
        return samples


def hard_case(seed: int) -> HardCase:
    rng = np.random.default_rng(seed)
    largest = 10**17 if seed % 3 == 0 else 10**4
    image_ids, category_ids = (
        np.unique(rng.integers(1, largest, rng.integers(1, count))) for count in (9, 7)
    )
    category_ids = rng.permutation(category_ids)
    annotations: list[dict] = []
    boxes, labels, counts = [], [], []
    for image_id in image_ids.tolist():
        truth, truth_labels = _truth(rng, len(category_ids))
        for box, label in zip(truth.tolist(), truth_labels, strict=True):
            area = box[2] * box[3] * rng.choice([1, 0.6, 0])
            annotations.append(
                dict(
                    image_id=image_id, category_id=int(category_ids[label]), bbox=box,
                    area=area, iscrowd=int(rng.random() < 0.25),
                )
            )  # fmt: skip
        counts.append(int(rng.choice([0, 3, 20, *([300, 700] if seed % 4 == 0 else [])])))
        near, near_labels = _detected(rng, truth, truth_labels, counts[-1], len(category_ids))
        boxes.append(near)
        labels.append(near_labels)
    rng.shuffle(annotations)
    total = sum(counts)
    scores = rng.integers(0, 4, total) / 4 if seed % 2 else rng.random(total)
    predictions = SavedPredictions(
        "hard", image_ids, np.array(counts), np.concatenate(boxes).astype(np.float32),
        scores.astype(np.float32), np.concatenate(labels).astype(np.int64),
    )  # fmt: skip
    numbered = [dict(annotation, id=i) for i, annotation in enumerate(annotations, 1)]
    return HardCase(predictions, numbered, category_ids.tolist())


def _truth(rng, num_classes):
    count = rng.integers(0, 8) if rng.random() > 0.2 else 0
    whole = rng.random() < 0.5  # then overlaps are equal, and hit thresholds exactly
    boxes = rng.integers(1, 60, (count, 4)).astype(float) if whole else rng.random((count, 4)) * 200
    boxes[:, 2:] += 1
    boxes[1:2] = boxes[:1]
    return boxes, rng.integers(0, max(1, num_classes - 1), count)


def _detected(rng, truth, truth_labels, count, num_classes):
    """Around the ground truth, or anywhere; as x1, y1, x2, y2."""
    labels = rng.integers(0, num_classes, count)
    boxes = rng.random((count, 4)) * 100
    if len(truth):
        source = rng.integers(0, len(truth), count)
        boxes = truth[source] + rng.integers(-3, 4, (count, 4))
        labels = np.where(rng.random(count) < 0.8, truth_labels[source], labels)
    boxes[:, 2:] += boxes[:, :2]
    return boxes, labels

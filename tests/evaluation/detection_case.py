"""Small random ground truth with detections, and what pycocotools makes of them."""

from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from derain_plugin.evaluation.image_matches import ImageMatches, match_images
from derain_plugin.evaluation.saved_predictions import SavedPredictions

CATEGORY_IDS = [7, 3, 12, 5]  # in the order of the labels
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class DetectionCase:
    predictions: SavedPredictions
    annotations: list[dict]

    def match(self, iou_thresholds: np.ndarray = IOU_THRESHOLDS) -> ImageMatches:
        return match_images(
            self.predictions,
            self.annotations,
            category_ids=CATEGORY_IDS,
            iou_thresholds=iou_thresholds,
        )

    def repeated(self, times: np.ndarray) -> "DetectionCase":
        """The data set in which image i really occurs times[i] times."""
        copies = np.repeat(np.arange(len(times)), times)
        found, ids = self.predictions, self.predictions.image_ids
        owner = np.repeat(np.arange(len(ids)), found.counts)
        picked = [np.flatnonzero(owner == image) for image in copies]
        order = np.concatenate([np.zeros(0, int), *picked])
        annotations = [
            dict(annotation, image_id=new + 1)
            for new, image in enumerate(copies)
            for annotation in self.annotations
            if annotation["image_id"] == ids[image]
        ]
        predictions = SavedPredictions(
            "copies", np.arange(len(copies)) + 1, found.counts[copies],
            found.boxes[order], found.scores[order], found.labels[order],
        )  # fmt: skip
        return DetectionCase(
            predictions, [dict(ann, id=i) for i, ann in enumerate(annotations, start=1)]
        )


def random_case(
    seed: int, *, images: int = 6, boxes: int = 4, detections: int = 12, ties: bool = False
) -> DetectionCase:
    """Up to so many boxes, a fifth of them crowds, and detections in each image."""
    rng = np.random.default_rng(seed)
    image_ids = np.sort(rng.choice(100, images, replace=False)) + 1
    annotations: list[dict] = []
    found_boxes, found_labels, counts = [], [], []
    for image_id in image_ids.tolist():
        corner = rng.integers(0, 40, (rng.integers(boxes + 1), 2))
        truth = np.hstack([corner, corner + rng.integers(8, 50, corner.shape)]).astype(float)
        labels = rng.integers(0, len(CATEGORY_IDS) - 1, len(truth))  # the last has no boxes
        for (x1, y1, x2, y2), label in zip(truth.tolist(), labels, strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1, image_id=image_id, category_id=CATEGORY_IDS[label],
                    bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1) * 0.7,
                    iscrowd=int(rng.random() < 0.2),
                )
            )  # fmt: skip
        counts.append(int(rng.integers(detections + 1)))
        near = np.vstack([truth, rng.random((1, 4)) * 20 + [0, 0, 20, 20]])
        source = rng.integers(len(near), size=counts[-1])
        found_boxes.append(near[source] + rng.normal(0, 3, (counts[-1], 4)))
        right = np.append(labels, 0)[source]
        wrong = rng.random(counts[-1]) < 0.2
        found_labels.append(np.where(wrong, rng.integers(0, len(CATEGORY_IDS), len(right)), right))
    total = sum(counts)
    scores = rng.integers(0, 4, total) / 4 if ties else rng.permutation(total) / (total + 1)
    predictions = SavedPredictions(
        "random", image_ids, np.array(counts), np.concatenate(found_boxes).astype(np.float32),
        scores.astype(np.float32), np.concatenate(found_labels).astype(np.int64),
    )  # fmt: skip
    return DetectionCase(predictions, annotations)


def pycocotools_stats(case: DetectionCase) -> list[float]:
    """AP, AP50 and AP75 of an ordinary run; -1 where there is no ground truth."""
    found = case.predictions
    boxes = found.boxes.astype(float)
    boxes[:, 2:] -= boxes[:, :2]
    results = [
        dict(image_id=image, category_id=CATEGORY_IDS[label], bbox=box, score=score)
        for image, label, box, score in zip(
            np.repeat(found.image_ids, found.counts).tolist(), found.labels.tolist(),
            boxes.tolist(), found.scores.tolist(), strict=True,
        )
    ]  # fmt: skip
    with redirect_stdout(StringIO()):
        truth = COCO()
        truth.dataset = dict(
            images=[dict(id=i) for i in found.image_ids.tolist()],
            annotations=[dict(annotation) for annotation in case.annotations],
            categories=[dict(id=i, name=str(i)) for i in CATEGORY_IDS],
        )
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results) if results else COCO(), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3].tolist()

"""Files like those of ``tools/test.py --out``, of detectors that miss by a known amount."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.fileio import dump


def save_model(
    path: Path, ann_file: Path, errors: Mapping[str | None, float], *, seed: int = 0
) -> Path:
    """Predict each box of ``ann_file``, shifted by so many pixels under each condition.

    The condition None writes no condition at all.
    """
    content = json.loads(ann_file.read_text())
    label_of = {category["id"]: i for i, category in enumerate(content["categories"])}
    rng = np.random.default_rng(seed)
    samples = []
    for condition, error in errors.items():
        for image in content["images"]:
            truth = [a for a in content["annotations"] if a["image_id"] == image["id"]]
            boxes = np.array([a["bbox"] for a in truth], dtype=float).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            boxes += rng.normal(0, 1, boxes.shape) * error
            sample = dict(
                img_id=image["id"],
                ori_shape=(image["height"], image["width"]),
                pred_instances=dict(
                    bboxes=torch.tensor(boxes, dtype=torch.float32),
                    scores=torch.tensor(rng.random(len(truth)), dtype=torch.float32),
                    labels=torch.tensor([label_of[a["category_id"]] for a in truth]),
                ),
            )
            samples.append(sample if condition is None else dict(sample, dataset=condition))
    dump(samples, path)
    return path

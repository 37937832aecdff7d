"""What each model finds on the same rainy images, and where the neck sees rain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmdet.models import BaseDetector
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.dataset import BaseDataset, Compose, pseudo_collate

TILE = 256  # px
HEADER = 26  # px
SCORE_THRESHOLD = 0.4


def draw_grid(
    models: Mapping[str, BaseDetector], dataset: BaseDataset, indices: Sequence[int], path: Path
) -> None:
    """Write one row per image: ground truth, each model's detections, the finest rain mask.

    Args:
        models: Detectors by title; the last one has a ``DerainNeck``.
        dataset: Rainy images, whose pipeline starts with loading and rain.
        indices: Which of them to show.
        path: The JPEG to write.
    """
    titles = ["ground truth", *models, "rain mask (white = 1)"]
    rows = [np.hstack([_header(title) for title in titles])]
    for index in indices:
        rows.append(np.hstack(_row(models, dataset, index)))
    partial = path.with_name("partial_" + path.name)
    cv2.imwrite(str(partial), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    partial.replace(path)


@torch.inference_mode()
def _row(models: Mapping[str, BaseDetector], dataset: BaseDataset, index: int) -> list[np.ndarray]:
    image = Compose(dataset.pipeline.transforms[:2])(dataset.get_data_info(index))["img"]
    batch = pseudo_collate([dataset[index]])
    found = {title: model.test_step(batch)[0] for title, model in models.items()}
    first = next(iter(found.values()))
    tiles = [_painted(image, first, dataset, truth=True)]
    tiles += [_painted(image, sample, dataset, truth=False) for sample in found.values()]
    return [_tile(tile) for tile in [*tiles, _mask(list(models.values())[-1], batch, image)]]


def _painted(
    image: np.ndarray, sample: DetDataSample, dataset: BaseDataset, *, truth: bool
) -> np.ndarray:
    visualizer = DetLocalVisualizer(line_width=2)
    visualizer.dataset_meta = dataset.metainfo
    visualizer.add_datasample(
        "",
        image[..., ::-1],
        sample,
        draw_gt=truth,
        draw_pred=not truth,
        pred_score_thr=SCORE_THRESHOLD,
    )
    return visualizer.get_image()[..., ::-1]


def _mask(model: BaseDetector, batch: dict, image: np.ndarray) -> np.ndarray:
    inputs = model.data_preprocessor(batch, False)["inputs"]
    masks = model.neck.rain_masks(model.backbone(inputs))
    grey = (255 * masks[0][0, 0]).round().byte().numpy()
    grey = cv2.resize(grey, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.merge([grey] * 3)


def _tile(image: np.ndarray) -> np.ndarray:
    """Fit an image of any shape into a square."""
    height, width = image.shape[:2]
    scale = TILE / max(height, width)
    fitted = cv2.resize(image, (round(width * scale), round(height * scale)))
    canvas = np.full((TILE, TILE, 3), 255, np.uint8)
    canvas[: fitted.shape[0], : fitted.shape[1]] = fitted
    return canvas


def _header(title: str) -> np.ndarray:
    canvas = np.full((HEADER, TILE, 3), 255, np.uint8)
    cv2.putText(canvas, title, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas

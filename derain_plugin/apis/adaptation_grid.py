"""A detector before and after it was adapted, on the same images, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.renderers import Renderer, rain_of
from derain_plugin.apis.annotator import Painter
from derain_plugin.apis.base_predictor import select
from derain_plugin.models.detectors.noted_area import file_area
from derain_plugin.rain import image_seed
from derain_plugin.rain.images import read_image
from derain_plugin.visualization.mask_panels import overlay_mask

WIDTH = 400  # px, of a tile
TITLE = 24  # px
COLUMNS = ("clean, before", "rainy, before", "rainy, after", "rain mask")
SEVERITY = 3


def draw_grid(
    detector: FrozenDetector,
    photos: Sequence[Path],
    *,
    rainy: Sequence[Path] = (),
    classes: Sequence[str],
    palette: Any = "random",
    score_thr: float = 0.4,
    seed: int = 0,
    renderer: Renderer = "ours",
) -> np.ndarray:
    """Draw a row per photo: clean, rainy before and after, and the mask of the finest level.

    Args:
        detector: With the neck that was trained.
        photos: In clear weather; rain of severity 3 is rendered on them.
        rainy: Photos of bad weather, which are shown as they are, without a clean one.
        classes: Names by label.
        palette: RGB colours by label, or a name that mmdet knows.
        score_thr: Least score that is drawn.
        seed: Of the rain.
        renderer: Of the rain, see :func:`~derain_plugin.adapting.renderers.rain_of`.

    Returns:
        uint8, BGR.
    """
    painter = Painter(classes, palette)
    labels = range(len(classes))

    def painted(image: np.ndarray) -> np.ndarray:
        found = select(detector.detect(image), score_thr=score_thr, labels=labels)
        limits = torch.tensor([image.shape[1], image.shape[0]] * 2) - 1
        found.bboxes = found.bboxes.clamp(min=0).minimum(limits)  # else the image would shrink
        return painter.paint(image, found)

    rain = rain_of(renderer)
    pairs: list[tuple[np.ndarray | None, np.ndarray]] = []
    for number, photo in enumerate(photos):
        image = _shrunk(read_image(photo))
        rain_seed = image_seed(seed, number)
        pairs.append((image, rain.on(image, SEVERITY, seed=rain_seed, photo=photo)))
    pairs += [(None, _shrunk(read_image(photo))) for photo in rainy]
    rows = [_titles()]
    for clean, wet in pairs:
        with detector.plain():
            before = [np.full_like(wet, 255) if clean is None else painted(clean), painted(wet)]
        masked = overlay_mask(np.ascontiguousarray(wet[..., ::-1]), _mask(detector, wet))
        rows.append(_row([*before, painted(wet), masked[..., ::-1]]))
    return np.vstack(rows)


@torch.no_grad()
def _mask(detector: FrozenDetector, image: np.ndarray) -> np.ndarray:
    """Return the finest level's mask of the image, without the padding around it."""
    images, samples = detector.preprocess(pseudo_collate([detector.prepare(image)]))
    with detector.valid_area(samples):
        mask = detector.derain.rain_masks(detector.extract(images))[0][0, 0].float().cpu().numpy()
    if samples is None:
        return mask
    (height, width), (rows, columns) = images.shape[-2:], file_area(samples[0])
    bottom, right = (
        max(1, round(size * inner / outer))
        for size, inner, outer in zip(mask.shape, (rows, columns), (height, width), strict=True)
    )
    return mask[:bottom, :right]


def _shrunk(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, 640 / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _row(tiles: Sequence[np.ndarray]) -> np.ndarray:
    height = max(1, round(WIDTH * tiles[1].shape[0] / tiles[1].shape[1]))
    return np.hstack([cv2.resize(tile, (WIDTH, height)) for tile in tiles])


def _titles() -> np.ndarray:
    row = np.full((TITLE, WIDTH * len(COLUMNS), 3), 255, np.uint8)
    for number, title in enumerate(COLUMNS):
        place = (number * WIDTH + 6, TITLE - 7)
        cv2.putText(row, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return row

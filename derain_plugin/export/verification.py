"""Does an exported detector find what the PyTorch model finds?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment

Detect = Callable[[np.ndarray], InstanceData]
SCORE_THR = 0.05
LEAST_COMPARED = 5  # best detections of each image, where fewer score above the threshold


@dataclass(frozen=True)
class Tolerance:
    """How far a detection may be off.

    Attributes:
        pixels: Of each side of a box.
        share: Further of each side of a box, as a share of the image's longer side.
        score: Of scores, which are 0-1.
        matched: Least share of the detections that must be found within these limits.
    """

    pixels: float
    share: float
    score: float
    matched: float = 1.0

    def box_limit(self, image: np.ndarray) -> float:
        """Return the limit of a box's sides on this image, px."""
        return self.pixels + self.share * max(image.shape[:2])


TOLERANCES = {
    "fp32": Tolerance(pixels=0.5, share=0, score=1e-3),
    "fp16": Tolerance(pixels=0.5, share=0.002, score=0.02),
    "bf16": Tolerance(pixels=0.5, share=0.01, score=0.05, matched=0.95),
    "int8": Tolerance(pixels=0.5, share=0.02, score=0.15, matched=0.85),
}


@dataclass(frozen=True)
class Agreement:
    """How well two detectors agree on images.

    Attributes:
        compared: Number of detections that were looked for in the other's.
        matched: How many of them are there.
        box_difference: Largest difference of sides of matched boxes, px.
        score_difference: Largest difference of matched scores.
        differences: A line for each detection that was not matched.
    """

    compared: int
    matched: int
    box_difference: float
    score_difference: float
    differences: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.matched} of {self.compared} detections agree; largest difference "
            f"{self.box_difference:.2g} px, score {self.score_difference:.1g}"
        )


def compare(
    reference: Detect, exported: Detect, images: Mapping[str, np.ndarray], tolerance: Tolerance
) -> Agreement:
    """Look for every detection of each detector among those of the other.

    What scores at least ``SCORE_THR``, and in any case the ``LEAST_COMPARED`` best of each
    image, must have a partner of its own with the same label, whatever the order: among equal
    scores that is a matter of chance.

    Args:
        reference: The PyTorch detector, from an image ``(H, W, 3)`` uint8, BGR.
        exported: The other one.
        images: By name.
        tolerance: Limits.
    """
    rows: list[tuple[float, float]] = []
    differences: list[str] = []
    for name, image in images.items():
        ours, theirs = reference(image), exported(image)
        limits = tolerance.box_limit(image), tolerance.score
        for wanted, others, who in ((ours, theirs, "PyTorch"), (theirs, ours, "the exported file")):
            matched, missed = _match(_compared(wanted), others, limits)
            rows += matched
            differences += [f"{name}: {who} has {line}" for line in missed]
    box, score = np.max(rows, axis=0).tolist() if rows else (0.0, 0.0)
    return Agreement(
        compared=len(rows) + len(differences),
        matched=len(rows),
        box_difference=box,
        score_difference=score,
        differences=tuple(differences),
    )


def _compared(found: InstanceData) -> InstanceData:
    best = found[found.scores.argsort(descending=True)]
    return best[: max(LEAST_COMPARED, int((best.scores >= SCORE_THR).sum()))]


def _match(
    wanted: InstanceData, others: InstanceData, limits: tuple[float, float]
) -> tuple[list[tuple[float, float]], list[str]]:
    """Return the differences of matched pairs (px, score), and what is missed, in words."""
    boxes = np.abs(_array(wanted.bboxes)[:, None] - _array(others.bboxes)).max(-1)  # (n, m)
    scores = np.abs(_array(wanted.scores)[:, None] - _array(others.scores))
    is_same = _array(wanted.labels)[:, None] == _array(others.labels)
    cost = np.where(is_same, np.maximum(boxes / limits[0], scores / limits[1]), np.inf)
    # Beyond the limits all are equally bad: a pair within them never gives way to one outside.
    pairs = linear_sum_assignment(np.where(cost <= 1, cost, len(cost) + 1.0))
    chosen = {i: j for i, j in zip(*pairs, strict=True) if cost[i, j] <= 1}
    matched = [(boxes[i, j], scores[i, j]) for i, j in chosen.items()]
    missed = [
        _describe(wanted[i], is_same[i], boxes[i], scores[i])
        for i in range(len(wanted))
        if i not in chosen
    ]
    return matched, missed


def _describe(
    missed: InstanceData, is_same: np.ndarray, boxes: np.ndarray, scores: np.ndarray
) -> str:
    sides = ", ".join(f"{side:.1f}" for side in missed.bboxes[0].tolist())
    text = f"label {int(missed.labels)}, score {float(missed.scores):.4f}, box [{sides}]"
    if not is_same.any():
        return f"{text}; the other has nothing with that label"
    nearest = np.where(is_same, boxes, np.inf).argmin()
    return f"{text}; the other's nearest is off by {boxes[nearest]:.3g} px, {scores[nearest]:.2g}"


def _array(tensor: object) -> np.ndarray:
    return np.asarray(tensor, dtype=np.float64)

"""Which part of a photo is seen, and whether it is flipped."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
from mmengine.structures import InstanceData

CROPPED_SHARE = 0.5  # of the photos, where some are cropped


class View(NamedTuple):
    """A window in a photo, which is flipped after it was cut out.

    Attributes:
        shape: Height and width of the whole photo.
        rows: First row of the window, and the one after its last.
        columns: The same of its columns.
        is_flipped: Whether left and right change places.
    """

    shape: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    is_flipped: bool = False

    @classmethod
    def draw(cls, shape: tuple[int, int], *, crop: float) -> View:
        """Draw one by Python's global generator.

        Args:
            shape: Height and width of the photo.
            crop: Up to which share of both sides is cut off; 0 crops no photo.
        """
        is_flipped = random.random() < 0.5
        if not crop or random.random() >= CROPPED_SHARE:
            return cls(shape, (0, shape[0]), (0, shape[1]), is_flipped)
        share, left, top = (random.random() for _ in range(3))
        windows = []
        for whole, where in zip(shape, (top, left), strict=True):
            side = max(1, round(whole * (1 - crop * share)))
            start = int(where * (whole - side + 1))
            windows.append((start, start + side))
        return cls(shape, windows[0], windows[1], is_flipped)

    def of(self, image: np.ndarray) -> np.ndarray:
        """Return what is seen of ``(H, W, 3)``; the whole image itself where that is all of it."""
        seen = image[slice(*self.rows), slice(*self.columns)]
        if self.is_flipped:
            seen = seen[:, ::-1]
        return image if seen.shape == image.shape and not self.is_flipped else seen.copy()

    def objects(self, labelled: InstanceData) -> InstanceData:
        """Return objects as they lie in the window: clipped, without those outside.

        Args:
            labelled: ``bboxes``, ``(n, 4)`` xyxy in px of the whole photo, and what else they have.

        Returns:
            The same, and as ``shape`` the height and width of the window.
        """
        (top, bottom), (left, right) = self.rows, self.columns
        height, width = bottom - top, right - left
        boxes = labelled.bboxes - labelled.bboxes.new_tensor([left, top, left, top])
        if self.is_flipped:
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        is_whole = (height, width) == self.shape
        clipped = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
        is_seen = (clipped[:, 2:] > clipped[:, :2]).all(1)
        data = dict(labelled.items()) | dict(bboxes=boxes if is_whole else clipped)
        seen = InstanceData(metainfo=dict(shape=(height, width)), **data)
        return seen if is_whole else seen[is_seen]

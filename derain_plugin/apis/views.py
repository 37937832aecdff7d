"""What one or several detectors found in an image, in one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from derain_plugin.visualization import MaskedImage, draw_mask_panels

GAP = 4  # px
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class View:
    """One detector's view of an image.

    Attributes:
        title: Of the detector.
        painted: ``(H, W, 3)`` uint8, BGR, with its detections.
        masked: Its rain masks, if they are wanted and it has some.
    """

    title: str
    painted: np.ndarray
    masked: MaskedImage | None = None


def arrange(views: Sequence[View]) -> np.ndarray:
    """Set views beside each other, or below each other if there are masks beside them.

    Returns:
        uint8, BGR. Several views have their titles above them; one alone has none, and is the
        painted image itself where it has no masks.
    """
    panels = [_with_masks(view) for view in views]
    if len(views) == 1:
        return panels[0]
    titled = [_titled(panel, view.title) for panel, view in zip(panels, views, strict=True)]
    if all(view.masked is None for view in views):
        return np.hstack([titled[0], *(_bordered(panel, left=GAP) for panel in titled[1:])])
    width = max(panel.shape[1] for panel in titled)
    return np.vstack([_bordered(panel, right=width - panel.shape[1]) for panel in titled])


def _with_masks(view: View) -> np.ndarray:
    if view.masked is None:
        return view.painted
    rgb = np.ascontiguousarray(view.painted[..., ::-1])
    panels = draw_mask_panels(rgb, view.masked.masks, strides=view.masked.strides)
    return np.ascontiguousarray(panels[..., ::-1])


def _titled(panel: np.ndarray, title: str) -> np.ndarray:
    scale = max(0.5, panel.shape[0] / 1000)  # grows with the image, however many masks
    (width, _), _ = cv2.getTextSize(title, FONT, scale, 1)
    header = round(50 * scale)
    framed = _bordered(panel, top=header)
    scale *= min(1, (panel.shape[1] - 8) / width)  # or its end would be cut off
    place = (4, round(0.7 * header))
    cv2.putText(framed, title, place, FONT, scale, (0, 0, 0), max(1, round(scale)), cv2.LINE_AA)
    return framed


def _bordered(panel: np.ndarray, *, top: int = 0, left: int = 0, right: int = 0) -> np.ndarray:
    return cv2.copyMakeBorder(panel, top, 0, left, right, cv2.BORDER_CONSTANT, value=[255] * 3)

"""mmdet's expansion, crop, flip and resize, which compute only the pixels that are kept.

They draw as mmdet's, and give the same boxes, masks and shapes. What differs is the image in
between: an expanded one is a ``LazyCanvas``, a cropped one a part of it, until ``WarpResize``
computes the pixels of the result, straight from the image as it was loaded.

A step between them that takes the image as an array, as ``RandomCrop`` does, gets the filled
canvas; one that hands it to OpenCV has to stand before or behind them.
"""

from typing import Any

import mmcv
import numpy as np
import torch
from mmcv.image.geometric import rescale_size
from mmdet.datasets.transforms import Expand, MinIoURandomCrop, RandomFlip, Resize
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from derain_plugin.datasets.transforms.lazy_canvas import LazyCanvas, channel_by_channel, flip_image

Patch = tuple[int, int, int, int]
_TRIES = 50  # crops that mmdet draws before it draws another threshold


@TRANSFORMS.register_module()
class LazyExpand(Expand):
    """Expand as mmdet's ``Expand`` does, without filling the canvas in.

    Arguments and keys are those of ``Expand``; ``img`` becomes a ``LazyCanvas`` where it is
    expanded. A ``mean`` of equal values fits images with any number of channels.
    """

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Expand image, boxes, masks and segmentation map."""
        if self._random_prob() > self.prob:
            return results
        image = results["img"]
        height, width = image.shape[:2]
        ratio = self._random_ratio()
        left, top = self._random_left_top(ratio, height, width)
        shape = int(height * ratio), int(width * ratio)
        results["img"] = self._on_canvas(np.asarray(image), shape, left, top)
        results["img_shape"] = shape
        if results.get("gt_bboxes") is not None:
            boxes = results["gt_bboxes"]
            boxes.tensor = boxes.tensor + torch.tensor([left, top] * 2)
        if results.get("gt_masks") is not None:
            results["gt_masks"] = results["gt_masks"].expand(*shape, top, left)
        if results.get("gt_seg_map") is not None:
            labels = results["gt_seg_map"]
            results["gt_seg_map"] = np.full(shape, self.seg_ignore_label, labels.dtype)
            results["gt_seg_map"][top : top + height, left : left + width] = labels
        return results

    def _on_canvas(
        self, image: np.ndarray, shape: tuple[int, int], left: int, top: int
    ) -> LazyCanvas:
        fill = self.mean[0] if len(set(self.mean)) == 1 else self.mean
        if np.ndim(fill) and len(fill) != image.shape[2]:
            raise ValueError(
                f"LazyExpand(mean={self.mean}) needs one value per channel of the image, which has "
                f"{image.shape[2]}, or equal values"
            )
        return LazyCanvas(image, shape=shape, left=left, top=top, fill=fill)


@TRANSFORMS.register_module()
class LazyMinIoURandomCrop(MinIoURandomCrop):
    """Crop as mmdet's ``MinIoURandomCrop`` does, quickly, and a ``LazyCanvas``, too.

    Arguments, keys and draws are those of ``MinIoURandomCrop``. That one makes tensors of every
    crop that it turns down, which takes longer than all else; this one of few.
    """

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Crop image, boxes, masks and segmentation map."""
        height, width = results["img"].shape[:2]
        boxes = results["gt_bboxes"].tensor.numpy()
        corners = boxes.tolist()
        while True:
            self.mode = self._random_mode()
            if self.mode == 1:
                return results
            for _ in range(_TRIES):
                patch = _draw_patch(height, width, self.min_crop_size)
                if patch is None or not _may_overlap(patch, corners, self.mode):
                    continue
                kept = _holds_centre(patch, boxes)
                if len(boxes) == 0 or (_overlaps(patch, boxes).min() >= self.mode and kept.any()):
                    return _crop(results, patch, kept, clip=self.bbox_clip_border)


def _draw_patch(height: int, width: int, min_size: float) -> Patch | None:
    """Draw a crop ``(x1, y1, x2, y2)`` as mmdet does, or None for one of a refused shape."""
    draw = np.random.random_sample
    new_width = min_size * width + (width - min_size * width) * draw()
    new_height = min_size * height + (height - min_size * height) * draw()
    if not 0.5 <= new_height / new_width <= 2:
        return None
    # mmdet's uniform(width - new_width) has that as its lower end; the upper one is 1.
    left, top = width - new_width, height - new_height
    left += (1 - left) * draw()
    top += (1 - top) * draw()
    patch = int(left), int(top), int(left + new_width), int(top + new_height)
    return patch if patch[2] != patch[0] and patch[3] != patch[1] else None


def _may_overlap(patch: Patch, boxes: list[list[float]], min_iou: float) -> bool:
    """Say whether a crop overlaps every box enough, or misses it by rounding."""
    left, top, right, bottom = patch
    area = (right - left) * (bottom - top)
    least = min_iou - 1e-4
    for x1, y1, x2, y2 in boxes:
        width = min(x2, right) - max(x1, left)
        height = min(y2, bottom) - max(y1, top)
        inside = width * height if width > 0 and height > 0 else 0
        if inside < least * (area + (x2 - x1) * (y2 - y1) - inside):
            return False
    return True


def _overlaps(patch: Patch, boxes: np.ndarray) -> np.ndarray:
    """Return the IoU of a crop with each box, (N,) float32, bitwise as mmdet's."""
    corners = np.array(patch, dtype=np.float32)
    low, high = np.maximum(corners[:2], boxes[:, :2]), np.minimum(corners[2:], boxes[:, 2:])
    inside = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.prod(corners[2:] - corners[:2]) + areas - inside
    return inside / np.maximum(union, np.float32(1e-6))


def _holds_centre(patch: Patch, boxes: np.ndarray) -> np.ndarray:
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    return ((centres > patch[:2]) & (centres < patch[2:])).all(axis=1)


def _crop(results: dict, patch: Patch, kept: np.ndarray, *, clip: bool) -> dict:
    left, top, right, bottom = patch
    boxes = results["gt_bboxes"]
    if len(boxes):
        corners = boxes.tensor.numpy()[kept] - np.array([left, top] * 2, np.float32)
        if clip:
            corners = corners.clip(0, np.array([right - left, bottom - top] * 2, np.float32))
        results["gt_bboxes"] = type(boxes)(corners, clone=False)
        for key in ("gt_ignore_flags", "gt_bboxes_labels"):
            if results.get(key) is not None:
                results[key] = results[key][kept]
        if results.get("gt_masks") is not None:
            results["gt_masks"] = results["gt_masks"][kept.nonzero()[0]].crop(np.array(patch))
    if results.get("gt_seg_map") is not None:
        results["gt_seg_map"] = results["gt_seg_map"][top:bottom, left:right]
    results["img"] = _part(results["img"], left, top, right, bottom)
    results["img_shape"] = results["img"].shape[:2]
    return results


def _part(image: Any, left: int, top: int, right: int, bottom: int) -> Any:
    if isinstance(image, LazyCanvas):
        return image.crop(left, top, right, bottom)
    return image[top:bottom, left:right]


@TRANSFORMS.register_module()
class LazyRandomFlip(RandomFlip):
    """Flip as mmdet's ``RandomFlip`` does, with OpenCV, and a ``LazyCanvas``, too.

    Arguments, keys and draws are those of ``RandomFlip``.
    """

    def _flip(self, results: dict) -> None:
        image = results["img"]
        results["img"] = np.empty((*image.shape[:2], 0), np.uint8)  # mmdet flips the rest
        super()._flip(results)
        direction = results["flip_direction"]
        is_lazy = isinstance(image, LazyCanvas)
        results["img"] = image.flip(direction) if is_lazy else flip_image(image, direction)


@TRANSFORMS.register_module()
class WarpResize(Resize):
    """Resize as mmdet's ``Resize`` does, and a ``LazyCanvas`` in the same pass.

    Arguments and keys are those of ``Resize``. Of plain images the pixels are mmdet's, of a
    large canvas those of one affine warp, which differ from mmdet's by rounding. An image of
    three channels or more lies in memory as ``PackDetInputs`` wants it, channel by channel.
    """

    def _resize_img(self, results: dict) -> None:
        image = results["img"]
        if isinstance(image, LazyCanvas):
            self._resize_canvas(results, image)
        else:
            super()._resize_img(results)
            results["img"] = channel_by_channel(results["img"])

    def _resize_canvas(self, results: dict, canvas: LazyCanvas) -> None:
        height, width = canvas.shape[:2]
        size = results["scale"]
        if self.keep_ratio:
            size = rescale_size((width, height), size)
        if (self.backend, self.interpolation) == ("cv2", "bilinear"):
            results["img"] = canvas.resize(size)
        else:
            results["img"] = channel_by_channel(
                mmcv.imresize(
                    np.asarray(canvas),
                    size,
                    interpolation=self.interpolation,
                    backend=self.backend,
                )
            )
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = size[0] / width, size[1] / height
        results["keep_ratio"] = self.keep_ratio

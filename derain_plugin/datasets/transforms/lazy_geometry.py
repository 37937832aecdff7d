"""mmdet's expansion, crop, flip and resize, which compute only the pixels that are kept.

They draw as mmdet's, and give the same boxes, masks and shapes. What differs is the image in
between: an expanded one is a :class:`LazyCanvas`, a cropped one a part of it, until ``WarpResize``
computes the pixels of the result, straight from the image as it was loaded.

A step between them that takes the image as an array, as ``RandomCrop`` does, gets the filled
canvas; one that hands it to OpenCV has to stand before or behind them.
"""

from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.image.geometric import rescale_size
from mmdet.datasets.transforms import Expand, MinIoURandomCrop, RandomFlip, Resize
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from derain_plugin.datasets.transforms.lazy_canvas import LazyCanvas, flip_image

_TRIES = 50  # crops that mmdet draws before it draws another threshold


@TRANSFORMS.register_module()
class LazyExpand(Expand):
    """Expand as mmdet's ``Expand`` does, without filling the canvas in.

    Arguments and keys are those of ``Expand``; ``img`` becomes a :class:`LazyCanvas` where it is
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
            results["gt_bboxes"].translate_([left, top])
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
    """Crop as mmdet's ``MinIoURandomCrop`` does, quickly, and a :class:`LazyCanvas`, too.

    Arguments, keys and draws are those of ``MinIoURandomCrop``, which compares each crop that it
    tries with the boxes by itself; this one compares fifty at once.
    """

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Crop image, boxes, masks and segmentation map."""
        height, width = results["img"].shape[:2]
        corners = results["gt_bboxes"].tensor.numpy()
        while True:
            self.mode = self._random_mode()
            if self.mode == 1:
                return results
            patch = self._first_good_patch(corners, height, width)
            if patch is not None:
                return _crop(results, patch, clip=self.bbox_clip_border)

    def _first_good_patch(self, boxes: np.ndarray, height: int, width: int) -> np.ndarray | None:
        """Draw up to fifty crops, and leave the generator behind the one that is returned."""
        state = np.random.get_state()  # noqa: NPY002
        draws = np.random.random_sample(4 * _TRIES)  # noqa: NPY002
        patches, taken = _patches(draws.tolist(), height, width, self.min_crop_size)
        good = np.flatnonzero(_are_good(patches, boxes, min_iou=self.mode))
        np.random.set_state(state)  # noqa: NPY002
        np.random.random_sample(taken[good[0] if len(good) else -1])  # noqa: NPY002
        return patches[good[0]] if len(good) else None


def _patches(
    draws: list[float], height: int, width: int, min_size: float
) -> tuple[np.ndarray, list[int]]:
    """Turn uniform draws into crops ``(x1, y1, x2, y2)``, as mmdet's code does.

    Returns:
        The crops, (T, 4), and the draws taken for each and all before it, with those of all tries
        at the end.
    """
    patches, taken = [], []
    number = 0
    for _ in range(_TRIES):
        new_width = min_size * width + (width - min_size * width) * draws[number]
        new_height = min_size * height + (height - min_size * height) * draws[number + 1]
        number += 2
        if not 0.5 <= new_height / new_width <= 2:
            continue
        # uniform(low), whose upper end is 1: mmdet's own line.
        left, top = width - new_width, height - new_height
        left += (1 - left) * draws[number]
        top += (1 - top) * draws[number + 1]
        number += 2
        patch = int(left), int(top), int(left + new_width), int(top + new_height)
        if patch[2] != patch[0] and patch[3] != patch[1]:
            patches.append(patch)
            taken.append(number)
    return np.array(patches, dtype=np.int64).reshape(-1, 4), [*taken, number]


def _are_good(patches: np.ndarray, boxes: np.ndarray, *, min_iou: float) -> np.ndarray:
    """Say which crops overlap every box enough and hold the centre of one."""
    if len(boxes) == 0 or len(patches) == 0:
        return np.ones(len(patches), dtype=bool)
    enough = _overlaps(patches.astype(np.float32), boxes).min(axis=1) >= min_iou
    enough[enough] = _holds_centre(patches[enough], boxes).any(axis=1)
    return enough


def _overlaps(patches: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the IoU of each patch with each box, (T, N) float32, bitwise as mmdet's."""
    low = np.maximum(patches[:, None, :2], boxes[None, :, :2])
    high = np.minimum(patches[:, None, 2:], boxes[None, :, 2:])
    inside = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(corners[:, 2:] - corners[:, :2], axis=1) for corners in (patches, boxes)]
    union = areas[0][:, None] + areas[1][None] - inside
    return inside / np.maximum(union, np.float32(1e-6))


def _holds_centre(patches: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    above = centres[None] > patches[:, None, :2]
    return (above & (centres[None] < patches[:, None, 2:])).all(axis=2)


def _crop(results: dict, patch: np.ndarray, *, clip: bool) -> dict:
    left, top, right, bottom = patch.tolist()
    boxes = results["gt_bboxes"]
    kept = _holds_centre(patch[None], boxes.tensor.numpy())[0]
    if len(boxes):
        boxes = boxes[kept]
        boxes.translate_([-left, -top])
        if clip:
            boxes.clip_([bottom - top, right - left])
        results["gt_bboxes"] = boxes
        for key in ("gt_ignore_flags", "gt_bboxes_labels"):
            if results.get(key) is not None:
                results[key] = results[key][kept]
        if results.get("gt_masks") is not None:
            results["gt_masks"] = results["gt_masks"][kept.nonzero()[0]].crop(patch)
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
    """Flip as mmdet's ``RandomFlip`` does, with OpenCV, and a :class:`LazyCanvas`, too.

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
    """Resize as mmdet's ``Resize`` does, and a :class:`LazyCanvas` in the same pass.

    Arguments and keys are those of ``Resize``. Of plain images the pixels are mmdet's, of a
    canvas they are those of one affine warp, which differ from mmdet's by rounding. An image of
    three channels or more lies in memory as ``PackDetInputs`` wants it, channel by channel.
    """

    def _resize_img(self, results: dict) -> None:
        image = results["img"]
        if isinstance(image, LazyCanvas):
            self._resize_canvas(results, image)
        else:
            super()._resize_img(results)
        results["img"] = _channel_by_channel(results["img"])

    def _resize_canvas(self, results: dict, canvas: LazyCanvas) -> None:
        height, width = canvas.shape[:2]
        size = results["scale"]
        if self.keep_ratio:
            size = rescale_size((width, height), size)
        if (self.backend, self.interpolation) == ("cv2", "bilinear"):
            results["img"] = canvas.resize(size)
        else:
            results["img"] = mmcv.imresize(
                np.asarray(canvas), size, interpolation=self.interpolation, backend=self.backend
            )
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = size[0] / width, size[1] / height
        results["keep_ratio"] = self.keep_ratio


def _channel_by_channel(image: np.ndarray) -> np.ndarray:
    """Return the same (H, W, C) array over memory of (C, H, W)."""
    if image.ndim != 3:
        return image
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))
    return planes.transpose(1, 2, 0)

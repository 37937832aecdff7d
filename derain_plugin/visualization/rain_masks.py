"""The rain masks of images that pass through a detector."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from derain_plugin.models.detectors.noted_area import file_area
from derain_plugin.models.necks import DerainNeck


@dataclass(frozen=True)
class MaskedImage:
    """An image and where the de-rain neck saw rain in it.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB, as the data pipeline gave it: with its rain, before
            the data preprocessor.
        masks: Float per level, 0-1, of the whole image without the batch's padding.
        strides: Of the levels, px.
        sample: The data sample as the data preprocessor gave it.
    """

    image: np.ndarray
    masks: tuple[np.ndarray, ...]
    strides: tuple[int, ...]
    sample: DetDataSample


class RainMaskRecorder:
    """Listen to a detector's forward passes for images and rain masks.

    No second pass through the detector: a copy of the de-rain neck, in eval mode, is shown the
    features that the neck itself is given. So neither weights, buffers, train and eval modes,
    gradients nor random generators of the detector are touched.

    Args:
        model: A detector with a ``DerainNeck``, or a wrapper (DDP) of one.
        num_images: How many images of a batch to record, from its start; None for all.

    Raises:
        ValueError: The detector has no ``DerainNeck``.
    """

    def __init__(self, model: nn.Module, num_images: int | None = None) -> None:
        self._detector: Any = model.module if is_model_wrapper(model) else model
        self._derain = _find_derain(self._detector)
        self._num_images = num_images
        self._handles: list[Any] = []
        self._images: list[Tensor] = []
        self._samples: list[DetDataSample] = []
        self._masks: list[Tensor] = []

    def start(self) -> None:
        """Copy the present weights of the de-rain neck, and listen."""
        self.stop()
        observer = copy.deepcopy(self._derain).eval().requires_grad_(False)

        def keep_masks(_: nn.Module, args: tuple[Sequence[Tensor]]) -> None:
            feats = [feat.detach()[: self._num_images] for feat in args[0]]
            self._masks = [mask.float().cpu() for mask in observer.rain_masks(feats)]

        self._handles = [
            self._detector.data_preprocessor.register_forward_hook(self._keep_images),
            self._derain.register_forward_pre_hook(keep_masks),
        ]

    def stop(self) -> None:
        """Listen no more; what was recorded can still be taken."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def take(self) -> list[MaskedImage]:
        """Return the images of the last forward pass, and forget them."""
        per_image = zip(*(mask[:, 0].numpy() for mask in self._masks), strict=True)
        seen = [
            _masked_image(image, masks, sample)
            for image, sample, masks in zip(self._images, self._samples, per_image, strict=False)
        ]
        self._images, self._samples, self._masks = [], [], []
        return seen

    def _keep_images(self, _: nn.Module, args: tuple[dict, bool], output: dict) -> None:
        self._images = list(args[0]["inputs"][: self._num_images])
        self._samples = output["data_samples"][: self._num_images]


def _find_derain(detector: Any) -> Any:
    for module in detector.modules():
        if isinstance(module, DerainNeck):
            return module.derain
    raise ValueError(
        f"this {type(detector).__name__} has no DerainNeck, so there are no rain masks to show: "
        "use a config with one, such as configs/rtdetr_r18_featderain_ms.py"
    )


def _masked_image(image: Tensor, masks: Sequence[np.ndarray], sample: DetDataSample) -> MaskedImage:
    # Pipelines may leave float images: colour jitter does.
    bgr = image.detach().cpu().clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    padded = sample.batch_input_shape
    # Batch augmentations scale both shapes; without them the image's own is that of its input.
    shape = sample.metainfo.get("img_shape", bgr.shape)[:2]
    return MaskedImage(
        image=np.ascontiguousarray(bgr[..., ::-1]),
        masks=tuple(without_padding(mask, shape, padded) for mask in masks),
        strides=tuple(2 ** round(math.log2(padded[0] / len(mask))) for mask in masks),
        sample=sample,
    )


def without_padding(
    mask: np.ndarray, shape: tuple[int, int], padded: tuple[int, int]
) -> np.ndarray:
    """Take from a mask of ``padded`` px what lies right of or below ``shape``, height and width."""
    if shape == padded:
        return mask
    full = cv2.resize(mask, padded[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return full[: shape[0], : shape[1]]


def crop_to_file(seen: MaskedImage) -> MaskedImage:
    """Take the pipeline's padding off an image of a test, and off its masks."""
    area, padded = file_area(seen.sample), seen.image.shape[:2]
    masks = tuple(without_padding(mask, area, padded) for mask in seen.masks)
    return replace(seen, image=seen.image[: area[0], : area[1]], masks=masks)

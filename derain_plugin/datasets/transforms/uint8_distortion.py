"""mmdet's colour distortion of an image that stays uint8."""

import cv2
import numpy as np
from mmdet.datasets.transforms import PhotoMetricDistortion
from mmdet.registry import TRANSFORMS

from derain_plugin.datasets.transforms.lazy_canvas import LazyCanvas

_ROWS = 64  # of an image at a time: their floats stay in the processor's cache


@TRANSFORMS.register_module()
class Uint8PhotoMetricDistortion(PhotoMetricDistortion):
    """Distort colours as mmdet's ``PhotoMetricDistortion`` does, and round to uint8.

    The draws are mmdet's, and so is the result, rounded and cut off at 0 and 255: mmdet's own
    floats leave that range. Arguments are those of ``PhotoMetricDistortion``. Less than half its
    time; the steps that follow, and the way to the GPU, take a quarter of the bytes. Behind
    ``LazyExpand`` and ``LazyMinIoURandomCrop`` it distorts what is kept of the image, and leaves
    the colour of the canvas, as it would before them.

    Required Keys:

    - img (uint8, H x W x 3, BGR, or a ``LazyCanvas``)

    Modified Keys:

    - img (a new one)
    """

    def transform(self, results: dict) -> dict:
        """Distort ``results["img"]``.

        Raises:
            TypeError: If the image is not uint8.
            ValueError: If it does not have three channels.
        """
        image = results["img"]
        if isinstance(image, LazyCanvas):
            results["img"] = image.holding(self._distorted(image.image))
        else:
            results["img"] = self._distorted(image)
        return results

    def _distorted(self, image: np.ndarray) -> np.ndarray:
        _check(image)
        mode, bright, contrast, saturation, hue, swap, delta, alpha, factor, degrees, order = (
            self._random_flags()
        )
        levels = np.arange(256, dtype=np.float32)
        if bright:
            levels += delta
        if contrast and mode == 1:
            levels *= alpha
        if not image.size:  # a crop beside the image
            return image
        gain = alpha if contrast and mode == 0 else 1.0
        # mmdet's way through HSV mirrors what is below 0; without such levels it changes nothing.
        if saturation or hue or levels[0] < 0:
            image = _through_hsv(
                image,
                levels,
                saturation=factor if saturation else 1.0,
                hue=degrees if hue else 0.0,
                gain=gain,
            )
        else:
            image = cv2.LUT(image, cv2.convertScaleAbs(levels, alpha=gain))
        return _reordered(image, order) if swap else image


def _check(image: np.ndarray) -> None:
    if image.dtype != np.uint8:
        raise TypeError(
            f"Uint8PhotoMetricDistortion needs a uint8 image, got {image.dtype}: place it right "
            "after LoadImageFromFile and the rain, or take mmdet's PhotoMetricDistortion"
        )
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"Uint8PhotoMetricDistortion needs a BGR image, (H, W, 3), got {image.shape}: leave it "
            "out behind RainTwin and RainPair, whose images have more channels"
        )


def _through_hsv(
    image: np.ndarray, levels: np.ndarray, *, saturation: float, hue: float, gain: float
) -> np.ndarray:
    """Map grey levels, change saturation and hue as floats, and multiply by ``gain``."""
    distorted = np.empty_like(image, order="C")
    part = None
    for top in range(0, len(image), _ROWS):
        part = cv2.LUT(image[top : top + _ROWS], levels, dst=part)
        part = cv2.cvtColor(part, cv2.COLOR_BGR2HSV, dst=part)
        if saturation != 1:
            part[..., 1] *= saturation
        if saturation > 1:
            np.minimum(part[..., 1], 1, out=part[..., 1])
        if hue:
            part[..., 0] += hue % 360  # OpenCV takes hues above 360 degrees, none below 0
        part = cv2.cvtColor(part, cv2.COLOR_HSV2BGR, dst=part)
        if levels[0] < 0:
            part = cv2.threshold(part, 0, 0, cv2.THRESH_TOZERO, dst=part)[1]
        cv2.convertScaleAbs(part, dst=distorted[top : top + _ROWS], alpha=gain)
    return distorted


def _reordered(image: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return ``image[..., order]``, quickly."""
    swapped = np.empty_like(image)
    pairs = [number for target, source in enumerate(order) for number in (int(source), target)]
    cv2.mixChannels([image], [swapped], pairs)
    return swapped

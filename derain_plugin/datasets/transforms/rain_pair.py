"""An image in rain with the clean image behind it, through one pipeline.

Pairs train a restorer, ``RainTwin``'s triples of rain, clean image and streaks a detector.
"""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from torch import Tensor

from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain
from derain_plugin.rain import draw_severity
from derain_plugin.rain.render import render_rain_with_streaks


@TRANSFORMS.register_module()
class RainPair(SyntheticRain):
    """Render rain and keep the clean image behind it, in channels 4-6 of one array.

    Whatever crops or flips ``img`` after this treats both alike. Place it before any crop: the
    size of streaks follows the image's height. ``PackRainPair`` ends such a pipeline.

    Required Keys:

    - img (uint8, H x W x 3)
    - img_id (int or str; only with a seed)

    Modified Keys:

    - img (uint8, H x W x 6: rainy, clean)

    Added Keys:

    - rain_severity (int; 0 where it does not rain)

    Arguments are those of ``SyntheticRain``: without a seed, each visit draws other rain.
    """

    def transform(self, results: dict) -> dict:
        """Pair ``results["img"]`` with itself in rain."""
        clean = results["img"]
        results = super().transform(results)
        results["img"] = np.concatenate([results["img"], clean], axis=-1)
        return results


@TRANSFORMS.register_module()
class PackRainPair(BaseTransform):
    """Make tensors of a pair, as ``SupervisedRestorer`` and ``RestorationMetric`` take them.

    Required Keys:

    - img (uint8, H x W x 6: rainy, clean, both BGR as ``LoadImageFromFile`` loads them)
    - rain_severity (int)
    - img_path (str)

    Returns a new dict:

    - inputs: rainy, ``(3, H, W)`` uint8, RGB
    - clean: the same without rain
    - rain_severity and img_path as above
    """

    def transform(self, results: dict) -> dict:
        """Pack one pair.

        Raises:
            ValueError: ``img`` is not a pair.
        """
        shape = results["img"].shape
        if shape[2:] != (6,):
            raise ValueError(
                f"PackRainPair needs a pair, (H, W, 6), got {shape}: put RainPair before it"
            )
        return dict(
            inputs=_as_rgb(results["img"][..., :3]),
            clean=_as_rgb(results["img"][..., 3:]),
            rain_severity=results["rain_severity"],
            img_path=results["img_path"],
        )


def _as_rgb(bgr: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1].transpose(2, 0, 1)))


@TRANSFORMS.register_module()
class RainTwin(SyntheticRain):
    """Render rain, and keep the clean image and the opacity of the streaks behind it.

    For training only, with ``RainTwinDataPreprocessor`` and ``TwinSupervisedRTDETR``. Whatever
    flips, crops or resizes ``img`` after this treats all channels alike. Place it right after
    ``LoadImageFromFile``, in the clean pipeline, too, there with ``severity=0``: all six colour
    channels are then of the clean image. What works on colours, such as
    ``Uint8PhotoMetricDistortion``, does not fit behind it, where images have 7 channels: leave it
    out. mmdet's ``Expand`` needs one ``mean`` per channel, ``[0] * 7``.

    With a seed it draws nothing from the global generators, so that later transforms draw as
    they do behind ``SyntheticRain`` with a seed, or behind nothing on clean images.

    Required Keys:

    - img (uint8, H x W x 3)
    - img_id (int or str; only with a seed)

    Modified Keys:

    - img (uint8, H x W x 7: rainy, clean, opacity of the streaks with 255 for 1)

    Added Keys:

    - rain_severity (int; 0 where it does not rain, and no streak is)

    Arguments are those of ``SyntheticRain``; an image whose rain has no streaks among its
    components has an opacity of 0. In a config that ``load_config`` reads, one
    without ``severity`` takes the setting ``synthetic_rain``.
    """

    def transform(self, results: dict) -> dict:
        """Put ``results["img"]`` in rain and behind it itself and the streaks.

        Raises:
            TypeError: If the image is not uint8.
            ValueError: If it does not have three channels, or if there is a seed and
                ``results`` has no ``img_id``.
        """
        seed = self._seed_for(results)
        severity = draw_severity(*self.severity, seed=seed, prob=self.prob)
        clean = results["img"]
        rainy, streaks = render_rain_with_streaks(
            clean, severity, seed=seed, components=self.components, lens_drops=self.lens_drops
        )
        results["img"] = np.dstack([rainy, clean, streaks])
        results["rain_severity"] = severity
        return results

"""An image in rain, its clean twin and its streaks, through one pipeline."""

import numpy as np
from mmdet.registry import TRANSFORMS

from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain
from derain_plugin.rain import draw_severity
from derain_plugin.rain.render import render_rain_with_streaks


@TRANSFORMS.register_module()
class RainTwin(SyntheticRain):
    """Render rain, and keep the clean image and the opacity of the streaks behind it.

    For training only, with ``RainTwinDataPreprocessor`` and ``TwinSupervisedRTDETR``. Whatever
    flips, crops or resizes ``img`` after this treats all channels alike. Place it right after
    ``LoadImageFromFile``, in the clean pipeline too, where ``severity=0`` makes a clean image
    its own twin. What works on colours (``PhotoMetricDistortion``) fits neither behind it, where
    images have 7 channels, nor before it, as it leaves floats: leave it out. ``Expand`` needs
    one ``mean`` per channel, ``[0] * 7``.

    With a seed it draws nothing from the global generators, so that later transforms draw as
    they do behind ``SyntheticRain`` with a seed, or behind nothing on clean images.

    Required Keys:

    - img (uint8, H x W x 3)
    - img_id (int or str; only with a seed)

    Modified Keys:

    - img (uint8, H x W x 7: rainy, clean, opacity of the streaks with 255 for 1)

    Added Keys:

    - rain_severity (int; 0 where it does not rain, and no streak is)

    Arguments are those of ``SyntheticRain``. In a config that ``load_config`` reads, a twin
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
            clean, severity, seed=seed, lens_drops=self.lens_drops
        )
        results["img"] = np.dstack([rainy, clean, streaks])
        results["rain_severity"] = severity
        return results

"""A clean image and the same in rain, through one pipeline."""

import numpy as np
from mmdet.registry import TRANSFORMS

from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain


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

"""The end of a pipeline of pairs."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from torch import Tensor


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

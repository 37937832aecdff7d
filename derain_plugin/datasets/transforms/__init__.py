from derain_plugin.datasets.transforms.held_out_rain import HeldOutRain
from derain_plugin.datasets.transforms.lazy_geometry import (
    LazyExpand,
    LazyMinIoURandomCrop,
    LazyRandomFlip,
    WarpResize,
)
from derain_plugin.datasets.transforms.rain_pair import PackRainPair, RainPair, RainTwin
from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain
from derain_plugin.datasets.transforms.uint8_distortion import Uint8PhotoMetricDistortion

__all__ = [
    "HeldOutRain",
    "LazyExpand",
    "LazyMinIoURandomCrop",
    "LazyRandomFlip",
    "PackRainPair",
    "RainPair",
    "RainTwin",
    "SyntheticRain",
    "Uint8PhotoMetricDistortion",
    "WarpResize",
]

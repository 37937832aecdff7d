from derain_plugin.datasets.transforms.held_out_rain import HeldOutRain
from derain_plugin.datasets.transforms.rain_pair import PackRainPair, RainPair, RainTwin
from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain

__all__ = ["HeldOutRain", "PackRainPair", "RainPair", "RainTwin", "SyntheticRain"]

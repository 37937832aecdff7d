from derain_plugin.datasets.transforms.held_out_rain import HeldOutRain
from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain

__all__ = ["HeldOutRain", "SyntheticRain"]

from derain_plugin.datasets.transforms.synthetic_rain import SyntheticRain

__all__ = ["SyntheticRain"]

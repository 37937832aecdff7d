from derain_plugin.datasets import transforms
from derain_plugin.datasets.rain_mix_dataset import RainMixDataset

__all__ = ["RainMixDataset", "transforms"]

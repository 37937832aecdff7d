from derain_plugin.datasets import transforms
from derain_plugin.datasets.interleaved_dataset import InterleavedDataset
from derain_plugin.datasets.named_coco_dataset import NamedCocoDataset
from derain_plugin.datasets.rain_mix_dataset import RainMixDataset
from derain_plugin.datasets.rain_pair_dataset import RainPairDataset

__all__ = [
    "InterleavedDataset",
    "NamedCocoDataset",
    "RainMixDataset",
    "RainPairDataset",
    "transforms",
]

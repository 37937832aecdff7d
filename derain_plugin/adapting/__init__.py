from derain_plugin.adapting.adapt import Adapted, Length, adapt
from derain_plugin.adapting.adapter import load_adapter, remove_adapter, save_adapter
from derain_plugin.adapting.losses import LossWeights

__all__ = [
    "Adapted",
    "Length",
    "LossWeights",
    "adapt",
    "load_adapter",
    "remove_adapter",
    "save_adapter",
]

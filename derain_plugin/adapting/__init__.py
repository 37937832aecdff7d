from derain_plugin.adapting.adapt import Adapted, adapt
from derain_plugin.adapting.adapter import load_adapter, remove_adapter
from derain_plugin.adapting.adapter_file import save_adapter
from derain_plugin.adapting.agreement import Agreement
from derain_plugin.adapting.dense_outputs import DenseOutput
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.plan import Length

__all__ = [
    "Adapted",
    "Agreement",
    "DenseOutput",
    "FrozenDetector",
    "Length",
    "LossWeights",
    "adapt",
    "load_adapter",
    "remove_adapter",
    "save_adapter",
]

from derain_plugin.models.restorers.spdnet import SPDNet
from derain_plugin.models.restorers.supervised_restorer import SupervisedRestorer

__all__ = ["SPDNet", "SupervisedRestorer"]

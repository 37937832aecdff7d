from derain_plugin.models.restorers.spdnet import SPDNet

__all__ = ["SPDNet"]

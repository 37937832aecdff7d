from derain_plugin.models.detectors.rtdetr import RTDETR

__all__ = ["RTDETR"]

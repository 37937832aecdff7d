from derain_plugin.models.detectors.rtdetr import RTDETR
from derain_plugin.models.detectors.twin_supervised_rtdetr import TwinSupervisedRTDETR

__all__ = ["RTDETR", "TwinSupervisedRTDETR"]

from derain_plugin.inference.annotator import Annotator
from derain_plugin.inference.base_detector import BaseDetector
from derain_plugin.inference.coco_detections import CocoDetections
from derain_plugin.inference.derain_inferencer import DerainInferencer
from derain_plugin.inference.detector import Detector
from derain_plugin.inference.exported_detector import ExportedDetector
from derain_plugin.inference.session import Session
from derain_plugin.inference.sources import Source, find_sources

__all__ = [
    "Annotator",
    "BaseDetector",
    "CocoDetections",
    "DerainInferencer",
    "Detector",
    "ExportedDetector",
    "Session",
    "Source",
    "find_sources",
]

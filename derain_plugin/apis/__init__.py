from derain_plugin.apis.annotator import Annotator
from derain_plugin.apis.base_predictor import BasePredictor
from derain_plugin.apis.coco_detections import CocoDetections
from derain_plugin.apis.derain_inferencer import DerainInferencer
from derain_plugin.apis.detector import Detector
from derain_plugin.apis.exported_detector import ExportedDetector
from derain_plugin.apis.session import Session
from derain_plugin.apis.sources import Source, find_sources

__all__ = [
    "Annotator",
    "BasePredictor",
    "CocoDetections",
    "DerainInferencer",
    "Detector",
    "ExportedDetector",
    "Session",
    "Source",
    "find_sources",
]

"""Labels of other data sets as COCO's, for evaluating on real rain."""

from derain_plugin.datasets.labels.class_names import NAMES_FILES, find_names_file, read_class_names
from derain_plugin.datasets.labels.coco_classes import match_classes
from derain_plugin.datasets.labels.convert import Conversion, LabelFormat, convert_labels
from derain_plugin.datasets.labels.labelled_box import LabelledBox
from derain_plugin.datasets.labels.voc import read_voc
from derain_plugin.datasets.labels.yolo import read_yolo

__all__ = [
    "NAMES_FILES",
    "Conversion",
    "LabelFormat",
    "LabelledBox",
    "convert_labels",
    "find_names_file",
    "match_classes",
    "read_class_names",
    "read_voc",
    "read_yolo",
]

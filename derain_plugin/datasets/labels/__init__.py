"""Labels of other data sets as COCO's, for evaluating on real rain."""

from derain_plugin.datasets.labels.classes import (
    NAMES_FILES,
    find_names_file,
    match_classes,
    read_class_names,
    read_keypoints,
)
from derain_plugin.datasets.labels.convert import Conversion, LabelFormat, convert_labels
from derain_plugin.datasets.labels.label_files import LabelError, LabelledBox, read_voc, read_yolo

__all__ = [
    "NAMES_FILES",
    "Conversion",
    "LabelError",
    "LabelFormat",
    "LabelledBox",
    "convert_labels",
    "find_names_file",
    "match_classes",
    "read_class_names",
    "read_keypoints",
    "read_voc",
    "read_yolo",
]

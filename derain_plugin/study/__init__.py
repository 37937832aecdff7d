"""The study of whether de-raining beats fine-tuning: its embedded data, harder than the toy's."""

from derain_plugin.study.coco_folder import make_study_coco
from derain_plugin.study.glyphs import CLASSES
from derain_plugin.study.scene import render_study_scene

__all__ = ["CLASSES", "make_study_coco", "render_study_scene"]

"""The study of whether de-raining beats fine-tuning: its embedded data, harder than the toy's."""

from projects.study.coco_folder import make_study_coco
from projects.study.glyphs import CLASSES
from projects.study.scene import render_study_scene

__all__ = ["CLASSES", "make_study_coco", "render_study_scene"]

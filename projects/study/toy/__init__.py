"""Embedded data: COCO-format images that the project makes itself, for demo, tests and study."""

from projects.study.toy.coco_folder import make_toy_coco
from projects.study.toy.scene import Scene, render_scene
from projects.study.toy.shapes import CLASSES

__all__ = ["CLASSES", "Scene", "make_toy_coco", "render_scene"]

"""Embedded data: COCO-format pictures that the project makes itself, for demo, tests and study."""

from derain_plugin.toy.coco_folder import make_toy_coco
from derain_plugin.toy.scene import Scene, render_scene
from derain_plugin.toy.shapes import CLASSES

__all__ = ["CLASSES", "Scene", "make_toy_coco", "render_scene"]

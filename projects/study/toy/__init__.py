"""Embedded data: COCO-format images that the project makes itself, for demo, tests and study."""

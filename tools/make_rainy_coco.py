"""Render a rainy copy of a COCO-format image folder; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("make_rainy_coco")

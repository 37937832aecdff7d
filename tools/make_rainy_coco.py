"""Render a rainy copy of a COCO-format image folder; --help says how."""

from derain_plugin.cli.make_rainy_coco import main

if __name__ == "__main__":
    main()

"""Make a small COCO-format data set; --help says how."""

from derain_plugin.cli.make_toy_coco import main

if __name__ == "__main__":
    main()

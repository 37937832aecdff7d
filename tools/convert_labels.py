"""Turn VOC or YOLO labels into one COCO json; --help says how."""

from derain_plugin.cli.convert_labels import main

if __name__ == "__main__":
    main()

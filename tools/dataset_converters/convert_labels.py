"""Turn VOC or YOLO labels into one COCO json; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("convert_labels")

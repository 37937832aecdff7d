"""Tiny folders as data sets of real rain come, all with the same four images and boxes."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48
CLASSES = ("Car", "motorbike", "pedestrian")
COCO_CLASSES = ("car", "motorcycle", "person")
# Class index, then x1, y1, x2, y2 in px; in 64 x 48 all are short in YOLO's shares too.
BOXES = {
    "rain_1": [(0, (8, 6, 40, 30)), (2, (48, 12, 56, 36))],
    "rain_10": [(1, (0, 0, 32, 24))],
    "rain_2": [],
    "rain_3": [(0, (16, 12, 64, 48)), (0, (0, 24, 16, 48))],
}
Folders = tuple[Path, Path]
"""Of images and of labels."""


def write_image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def voc_object(name: str, box: tuple[float, ...], *, extra: str = "") -> str:
    x1, y1, x2, y2 = box
    return (
        f"<object><name>{name}</name>{extra}<bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
    )


def voc_annotation(*objects: str, size: tuple[int, int] | None = (WIDTH, HEIGHT)) -> str:
    stated = (
        "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    )
    return f"<annotation>{stated}{''.join(objects)}</annotation>"


def yolo_line(index: int, box: tuple[float, ...]) -> str:
    x1, y1, x2, y2 = box
    center = (x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT
    return " ".join(map(str, (index, *center, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)))


def dawn_voc(root: Path) -> Folders:
    """Labels in a folder among the images, without difficult flags."""
    for stem, boxes in BOXES.items():
        write_image(root / f"{stem}.jpg")
        objects = [voc_object(CLASSES[index], box) for index, box in boxes]
        write_text(root / "Rain_PASCAL_VOC" / f"{stem}.xml", voc_annotation(*objects))
    return root, root / "Rain_PASCAL_VOC"


def rid_voc(root: Path) -> Folders:
    """Folders of images and annotations, flags, no sizes, upper-case image names."""
    flags = "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    for stem, boxes in BOXES.items():
        write_image(root / "JPEGImages" / f"{stem}.JPG")
        objects = [voc_object(CLASSES[index], box, extra=flags) for index, box in boxes]
        text = '<?xml version="1.0"?>\n' + voc_annotation(*objects, size=None)
        write_text(root / "Annotations" / f"{stem}.xml", text)
    return root / "JPEGImages", root / "Annotations"


def darknet_yolo(root: Path) -> Folders:
    """Labels beside the images, obj.names above them."""
    write_text(root / "obj.names", "\n".join(CLASSES) + "\n")
    for stem, boxes in BOXES.items():
        write_image(root / "obj_train_data" / f"{stem}.jpg")
        lines = [yolo_line(*box) for box in boxes]
        write_text(root / "obj_train_data" / f"{stem}.txt", "\n".join(lines))
    return root / "obj_train_data", root / "obj_train_data"


def ultralytics_yolo(root: Path) -> Folders:
    """images/ and labels/ with a sub-folder each, and a data.yaml."""
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASSES))
    write_text(root / "data.yaml", f"path: .\nval: images/val\nnames:\n{names}")
    for stem, boxes in BOXES.items():
        write_image(root / "images" / "val" / f"{stem}.png")
        lines = [yolo_line(*box) + "\n" for box in boxes]
        write_text(root / "labels" / "val" / f"{stem}.txt", "".join(lines))
    return root / "images", root / "labels"


LAYOUTS: dict[Callable[[Path], Folders], str] = {
    dawn_voc: "voc",
    rid_voc: "voc",
    darknet_yolo: "yolo",
    ultralytics_yolo: "yolo",
}

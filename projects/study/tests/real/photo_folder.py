"""A folder of drawn photographs in the layout of the study on real rain."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from label_folders import voc_annotation, voc_object
from mmdet.registry import MODELS
from mmengine.hub import get_config

from derain_plugin.datasets.labels.classes import CATEGORY_IDS
from projects.study.real.photographs import CONFIG, WEIGHTS

SIZE = (96, 64)  # width, height
CAR_BOX = (20, 24, 60, 48)  # x1, y1, x2, y2


def write_photo_folder(root: Path, count: int = 2) -> Path:
    """``count`` photos of each set, twice as many of fog; each has one car."""
    rng = np.random.default_rng(0)
    for folder in ("clear_traffic/images", "highway/train", "highway/valid", "coco_val128/val2017"):
        write_images(root / folder, count, rng)
    write_coco(root / "highway/train", root / "highway/annotations/instances_train.json")
    write_coco(root / "highway/valid", root / "highway/annotations/instances_valid.json")
    write_coco(
        root / "coco_val128/val2017", root / "coco_val128/annotations/instances_val2017.json"
    )
    for weather, number in (("rain", count), ("fog", 2 * count)):
        images = write_images(root / "dawn" / weather / "images", number, rng)
        (root / "dawn" / weather / "voc").mkdir()
        for image in images:
            text = voc_annotation(voc_object("car", CAR_BOX), size=SIZE)
            (root / "dawn" / weather / "voc" / f"{image.stem}.xml").write_text(text)
    return root


def write_images(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{folder.parent.name}-{number:03d}.png" for number in range(count)]
    for path in paths:
        image = cv2.resize(rng.integers(0, 255, (5, 7, 3)).astype(np.uint8), SIZE)
        x1, y1, x2, y2 = CAR_BOX
        image[y1:y2, x1:x2] = 230
        cv2.imwrite(str(path), image)
    return paths


def write_coco(images: Path, annotations: Path) -> None:
    x1, y1, x2, y2 = CAR_BOX
    listed = sorted(images.iterdir())
    content = dict(
        images=[
            dict(id=i, file_name=path.name, width=SIZE[0], height=SIZE[1])
            for i, path in enumerate(listed, 1)
        ],
        categories=[dict(id=number, name=name) for name, number in CATEGORY_IDS.items()],
        annotations=[
            dict(
                id=i, image_id=i, category_id=CATEGORY_IDS["car"], iscrowd=0,
                bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1),
            )
            for i, _ in enumerate(listed, 1)
        ],
    )  # fmt: skip
    annotations.parent.mkdir(parents=True, exist_ok=True)
    annotations.write_text(json.dumps(content))


def write_weights(root: Path) -> None:
    """A YOLOX-nano of random weights under which outputs depend on the image."""
    model = MODELS.build(get_config(CONFIG).model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    (root / WEIGHTS).parent.mkdir(parents=True)
    torch.save(dict(state_dict=model.state_dict()), root / WEIGHTS)

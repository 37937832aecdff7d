import json
from collections import Counter
from functools import partial
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from label_folders import (
    BOXES,
    COCO_CLASSES,
    HEIGHT,
    LAYOUTS,
    WIDTH,
    darknet_yolo,
    rid_voc,
    voc_annotation,
    voc_object,
    write_image,
    write_text,
)
from mmdet.evaluation import CocoMetric
from mmdet.registry import DATASETS
from PIL import Image

from derain_plugin.datasets.checks.coco_check import check_datasets
from derain_plugin.datasets.labels import (
    Conversion,
    LabelFormat,
    convert_labels,
    find_names_file,
    read_class_names,
    read_voc,
    read_yolo,
)
from derain_plugin.datasets.labels.classes import CATEGORY_IDS

VOC = LabelFormat("voc", ".xml", read_voc)
CAR_LINE = "0 0.5 0.5 0.5 0.5"


def yolo(*names: str) -> LabelFormat:
    return LabelFormat("yolo", ".txt", partial(read_yolo, names=dict(enumerate(names))))


def convert(images: Path, labels: Path, label_format: LabelFormat, **options) -> Conversion:
    options = dict(overrides={}, ignored=()) | options
    return convert_labels(images, labels, label_format=label_format, **options)


def convert_layout(layout, root: Path) -> tuple[Conversion, Path]:
    images, labels = layout(root)
    if LAYOUTS[layout] == "voc":
        return convert(images, labels, VOC), images
    names = read_class_names(find_names_file(labels))
    return convert(images, labels, yolo(*names.values())), images


def boxes_of(conversion: Conversion) -> dict[str, list]:
    names = {image["id"]: image["file_name"] for image in conversion.content["images"]}
    boxes: dict[str, list] = {name: [] for name in names.values()}
    for annotation in conversion.content["annotations"]:
        boxes[names[annotation["image_id"]]].append(annotation["bbox"])
    return boxes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_images_and_boxes(tmp_path, layout):
    conversion, _ = convert_layout(layout, tmp_path)
    images = conversion.content["images"]
    assert [image["id"] for image in images] == [1, 2, 3, 4]
    assert [Path(image["file_name"]).stem for image in images] == list(BOXES)
    assert {(image["width"], image["height"]) for image in images} == {(WIDTH, HEIGHT)}
    found = [
        (a["image_id"], a["category_id"], tuple(a["bbox"]), a["area"], a["iscrowd"])
        for a in conversion.content["annotations"]
    ]
    assert found == [
        (i, CATEGORY_IDS[COCO_CLASSES[index]], (x1, y1, x2 - x1, y2 - y1), (x2 - x1) * (y2 - y1), 0)
        for i, boxes in enumerate(BOXES.values(), start=1)
        for index, (x1, y1, x2, y2) in boxes
    ]
    assert not conversion.dropped + conversion.unlabelled + conversion.imageless


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mmdet_reads_the_json_and_perfect_predictions_score_1(tmp_path, layout):
    conversion, images = convert_layout(layout, tmp_path)
    ann_file = write_text(tmp_path / "coco.json", json.dumps(conversion.content))
    config = dict(
        type="CocoDataset",
        ann_file=str(ann_file),
        data_prefix=dict(img=f"{images}/"),
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape")),
        ],
    )
    check_datasets(dict(test_dataloader=dict(dataset=config)), ("test_dataloader",))
    dataset = DATASETS.build(config)
    metric = CocoMetric(ann_file=str(ann_file))
    metric.dataset_meta = dataset.metainfo
    for sample in dataset:
        truth = sample["data_samples"].gt_instances
        boxes = torch.as_tensor(truth.bboxes.tensor)
        prediction = dict(bboxes=boxes, labels=truth.labels, scores=torch.ones(len(boxes)))
        metric.process({}, [sample["data_samples"].to_dict() | dict(pred_instances=prediction)])
    scores = metric.evaluate(size=len(dataset))
    assert scores["coco/bbox_mAP"] == 1.0
    assert scores["coco/bbox_mAP_75"] == 1.0


def test_ids_follow_the_relative_names_in_any_folder_order(tmp_path):
    for name in ("b/1.jpg", "a.png", "b.jpg", "B.jpg", "a/z.jpg"):
        write_image(tmp_path / name)
        write_text((tmp_path / name).with_suffix(".txt"), CAR_LINE)
    images = convert(tmp_path, tmp_path, yolo("car")).content["images"]
    assert [i["file_name"] for i in images] == ["B.jpg", "a.png", "a/z.jpg", "b.jpg", "b/1.jpg"]


def test_image_turned_by_its_exif_tag_is_as_mmcv_loads_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.jpg", exif=exif)
    write_text(tmp_path / "a.txt", "0 0.5 0.75 1 0.5")
    conversion = convert(tmp_path, tmp_path, yolo("car"))
    (image,) = conversion.content["images"]
    assert (image["height"], image["width"]) == mmcv.imread(tmp_path / "a.jpg").shape[:2]
    assert image["width"] == HEIGHT
    assert boxes_of(conversion) == {"a.jpg": [[0, WIDTH / 2, HEIGHT, WIDTH / 2]]}


def test_boxes_are_clipped_and_those_outside_dropped_by_name(tmp_path):
    write_image(tmp_path / "a.jpg")
    boxes = [(-9, -9, 10, 20), (60, 40, 90, 90), (70, 0, 80, 9), (5, 48, 9, 60)]
    objects = [voc_object("car", box) for box in boxes]
    write_text(tmp_path / "a.xml", voc_annotation(*objects))
    conversion = convert(tmp_path, tmp_path, VOC)
    assert boxes_of(conversion) == {"a.jpg": [[0, 0, 10, 20], [60, 40, 4, 8]]}
    assert conversion.dropped == [f"{tmp_path / 'a.xml'}, object {n}" for n in (3, 4)]
    assert [a["id"] for a in conversion.content["annotations"]] == [1, 2]


def test_difficult_is_neither_asked_for_nor_held_against(tmp_path):
    write_image(tmp_path / "a.jpg")
    difficult = voc_object("car", (0, 0, 20, 20), extra="<difficult>1</difficult>")
    write_text(tmp_path / "a.xml", voc_annotation(difficult, voc_object("car", (30, 0, 60, 40))))
    content = convert(tmp_path, tmp_path, VOC).content
    assert [a["iscrowd"] for a in content["annotations"]] == [1, 0]
    ann_file = write_text(tmp_path / "coco.json", json.dumps(content))

    def score(*boxes: tuple) -> float:
        metric = CocoMetric(ann_file=str(ann_file))
        metric.dataset_meta = dict(classes=tuple(CATEGORY_IDS))
        labels = np.full(len(boxes), list(CATEGORY_IDS).index("car"))
        scores = np.linspace(1, 0.5, len(boxes))
        prediction = dict(bboxes=np.array(boxes, float), labels=labels, scores=scores)
        prediction = {name: torch.as_tensor(value) for name, value in prediction.items()}
        sample = dict(img_id=1, ori_shape=(HEIGHT, WIDTH), pred_instances=prediction)
        metric.process({}, [sample])
        return metric.evaluate(size=1)["coco/bbox_mAP"]

    assert score((30, 0, 60, 40)) == 1.0
    assert score((0, 0, 20, 20), (30, 0, 60, 40)) == 1.0
    assert score((0, 25, 20, 45), (30, 0, 60, 40)) < 1.0


def test_missing_and_superfluous_labels_are_named(tmp_path):
    images, labels = rid_voc(tmp_path)
    (labels / "rain_1.xml").unlink()
    write_text(labels / "lost.xml", voc_annotation())
    (labels / "rain_10.xml").rename(labels / "rain_10.XML")
    conversion = convert(images, labels, VOC)
    assert conversion.unlabelled == [str(images / f"rain_{n}.JPG") for n in (1, 10)]
    assert conversion.imageless == [str(labels / name) for name in ("lost.xml", "rain_10.XML")]
    assert len(conversion.content["images"]) == len(BOXES)


def test_names_file_and_hidden_copies_are_no_labels_or_images(tmp_path):
    images, labels = darknet_yolo(tmp_path)
    write_text(labels / "classes.txt", "car")
    write_image(images / ".ipynb_checkpoints" / "rain_1-checkpoint.jpg")
    write_text(images / "._rain_1.jpg", "resource fork")
    conversion = convert(images, labels, yolo("car", "bus", "person"))
    assert len(conversion.content["images"]) == len(BOXES)
    assert conversion.imageless == []


def test_classes_are_mapped_and_ignored_with_counts(tmp_path):
    images, labels = rid_voc(tmp_path)
    conversion = convert(images, labels, VOC, overrides=dict(car="truck"), ignored=["PEDESTRIAN"])
    assert conversion.classes == {"Car": "truck", "motorbike": "motorcycle", "pedestrian": None}
    assert conversion.content["info"]["class_map"] == conversion.classes
    assert conversion.ignored == Counter(pedestrian=1)
    used = {a["category_id"] for a in conversion.content["annotations"]}
    assert used == {CATEGORY_IDS["truck"], CATEGORY_IDS["motorcycle"]}


def test_unused_names_need_no_counterpart(tmp_path):
    images, labels = darknet_yolo(tmp_path)
    names = ("car", "bus", "person", "tumbleweed")
    assert "tumbleweed" not in convert(images, labels, yolo(*names)).classes
    with pytest.raises(ValueError, match="no class of COCO for 'rider'"):
        convert(images, labels, yolo("car", "bus", "rider"))


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0 cut off"])
def test_unreadable_image_is_refused_by_name(tmp_path, content):
    images, labels = rid_voc(tmp_path)
    (images / "rain_2.JPG").write_bytes(content)
    with pytest.raises(ValueError, match=r"rain_2\.JPG cannot be read"):
        convert(images, labels, VOC)


def test_two_images_of_one_label_file_are_refused(tmp_path):
    images, labels = rid_voc(tmp_path)
    write_image(images / "rain_2.png")
    with pytest.raises(ValueError, match=r"rain_2\.JPG and .*rain_2\.png have the same label"):
        convert(images, labels, VOC)


def test_wrong_folders_are_refused(tmp_path):
    images, labels = rid_voc(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        convert(images, tmp_path / "absent", VOC)
    with pytest.raises(FileNotFoundError, match="no image"):
        convert(labels, labels, VOC)
    with pytest.raises(FileNotFoundError, match=r"should have .*JPEGImages.rain_1\.xml"):
        convert(images, images, VOC)


def test_all_problems_of_a_folder_are_listed_and_can_be_skipped(tmp_path):
    images, labels = rid_voc(tmp_path)
    write_text(labels / "rain_1.xml", voc_annotation("<object/>", "<object/>"))
    write_text(labels / "rain_2.xml", "<annotation>")
    (images / "rain_3.JPG").write_bytes(b"")
    with pytest.raises(ValueError, match="4 labels or images cannot be used") as error:
        convert(images, labels, VOC)
    for name in ("rain_1.xml, object 1", "rain_1.xml, object 2", "rain_2.xml is", "rain_3.JPG"):
        assert name in str(error.value)
    conversion = convert(images, labels, VOC, skip_broken=True)
    assert [image["file_name"] for image in conversion.content["images"]] == ["rain_10.JPG"]
    assert [image["id"] for image in conversion.content["images"]] == [1]
    assert conversion.left_out == [str(images / f"rain_{n}.JPG") for n in (1, 2, 3)]


def test_images_of_another_size_can_be_skipped(tmp_path):
    images, labels = rid_voc(tmp_path)
    write_text(labels / "rain_1.xml", voc_annotation(voc_object("car", (0, 0, 1, 1)), size=(9, 9)))
    skipping = LabelFormat("voc", ".xml", partial(read_voc, sizes="skip"))
    conversion = convert(images, labels, skipping)
    assert conversion.left_out == [str(images / "rain_1.JPG")]
    assert len(conversion.content["images"]) == len(BOXES) - 1


def names_and_ids(conversion):
    return {category["name"]: category["id"] for category in conversion.content["categories"]}


@pytest.mark.parametrize(
    ("keep", "options", "expected"),
    [
        ((), {}, {"Car": 1, "motorbike": 2, "pedestrian": 3}),
        (["pedestrian", "Car", "motorbike"], {}, {"pedestrian": 1, "Car": 2, "motorbike": 3}),
        ((), dict(ignored=["motorbike"]), {"Car": 1, "pedestrian": 2}),
        (
            (),
            dict(overrides=dict(Car="vehicle", motorbike="vehicle")),
            {"pedestrian": 1, "vehicle": 2},
        ),
        (["Car", "bus"], dict(ignored=["motorbike", "pedestrian"]), {"Car": 1, "bus": 2}),
    ],
)
def test_classes_of_ones_own_are_kept(tmp_path, keep, options, expected):
    conversion = convert(*rid_voc(tmp_path), VOC, keep=keep, **options)
    assert names_and_ids(conversion) == expected
    names = {number: name for name, number in expected.items()}
    cars = [names[a["category_id"]] for a in conversion.content["annotations"]].count(
        "vehicle" if "overrides" in options else "Car"
    )
    assert cars == (4 if "overrides" in options else 3)


def test_a_list_of_names_is_kept_in_its_order_also_without_boxes(tmp_path):
    images, labels = darknet_yolo(tmp_path)
    names = ("Car", "motorbike", "pedestrian", "cone")
    read = partial(read_yolo, names=dict(enumerate(names)))
    conversion = convert(images, labels, LabelFormat("yolo", ".txt", read, names), keep=())
    assert list(names_and_ids(conversion)) == list(names)


@pytest.mark.parametrize(
    ("keep", "overrides", "message"),
    [
        (
            ["Car"],
            {},
            "'motorbike', 'pedestrian' is no category of 'Car': add it to --keep-classes",
        ),
        (
            ["Car"],
            dict(motorbike="bike", pedestrian="Car"),
            "no category 'bike'|'bike' is no category",
        ),
    ],
)
def test_classes_that_are_not_kept_are_named(tmp_path, keep, overrides, message):
    with pytest.raises(ValueError, match=message):
        convert(*rid_voc(tmp_path), VOC, keep=keep, overrides=overrides)

"""What an annotation file may lack or spell otherwise, trained on and scored alike."""

import json
from pathlib import Path

import named_coco
import numpy as np
import pytest

from derain_plugin.datasets.annotations import category_ids, read_annotations
from derain_plugin.datasets.checks.box_check import check_boxes
from derain_plugin.datasets.checks.coco_check import check_datasets
from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.image_matches import match_images
from derain_plugin.evaluation.saved_predictions import SavedPredictions
from derain_plugin.evaluation.weighted_ap import WeightedAp

ALL = [["square"], ["disc", "square"]]


def every(kind, **values):
    def change(content):
        for entry in content[kind]:
            entry.update(values)

    return change


def without(kind, key):
    def change(content):
        for entry in content[kind]:
            del entry[key]

    return change


def ids_from_0(content):
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number


def one_id_0(content):
    content["annotations"] = content["annotations"][:1]
    content["annotations"][0]["id"] = 0


def text_ids(prefix, kinds=("images", "annotations", "categories")):
    def change(content):
        for kind in kinds:
            for entry in content[kind]:
                entry["id"] = f"{prefix}{entry['id']}"
        for annotation in content["annotations"]:
            for key in ("image_id", "category_id"):
                annotation[key] = f"{prefix}{annotation[key]}"

    return change


def first(**values):
    return lambda content: content["annotations"][0].update(values)


def float_ids(content):
    for annotation in content["annotations"]:
        annotation.update(image_id=float(annotation["image_id"]), id=float(annotation["id"]))


def ids_one_lower(content):
    for entry in content["images"] + content["categories"]:
        entry["id"] -= 1
    for annotation in content["annotations"]:
        annotation["image_id"] -= 1
        annotation["category_id"] -= 1


LAST = [[], ["disc", "square"]]
CASES = {
    "as COCO has it": (lambda content: None, ALL),
    "annotation ids from 0": (ids_from_0, ALL),
    "one box of id 0": (one_id_0, [["square"], []]),
    "no annotation ids": (without("annotations", "id"), ALL),
    "an annotation id of null": (first(id=None), ALL),
    "negative annotation ids": (first(id=-1), ALL),
    "category and image ids from 0": (ids_one_lower, ALL),
    "no iscrowd": (without("annotations", "iscrowd"), ALL),
    "iscrowd is null": (every("annotations", iscrowd=None), ALL),
    "iscrowd is false": (every("annotations", iscrowd=False), ALL),
    "iscrowd is text": (every("annotations", iscrowd="0"), ALL),
    "no area": (without("annotations", "area"), ALL),
    "area 0": (every("annotations", area=0), ALL),
    "area -1": (every("annotations", area=-1), ALL),
    "area is null": (every("annotations", area=None), ALL),
    "text ids of digits": (text_ids("00"), ALL),
    "text ids": (text_ids("frame_"), ALL),
    "text ids that refer to numbers": (text_ids("", kinds=()), ALL),
    "float ids": (float_ids, ALL),
    "numbers as names": (
        lambda content: [c.update(name=7 + i) for i, c in enumerate(content["categories"])],
        [["7"], ["8", "7"]],
    ),
    "a crowd": (first(iscrowd=1), LAST),
    "a crowd in text": (first(iscrowd="1"), LAST),
    "marked ignore": (first(ignore=1), LAST),
    "under 1 px wide": (first(bbox=[4, 6, 0.5, 30]), LAST),
    "of zero height": (first(bbox=[4, 6, 20, 0]), LAST),
    "beside its image": (first(bbox=[64, 6, 20, 30]), LAST),
}


@pytest.mark.parametrize(("change", "names"), CASES.values(), ids=CASES)
def test_what_is_trained_on_is_what_is_asked_for(tmp_path, change, names):
    content = named_coco.content()
    change(content)
    path = named_coco.write(tmp_path / "a.json", content)
    classes = ("7", "8") if "7" in names[0] else ("square", "disc")
    found = named_coco.truth(path, classes)
    assert [image["names"] for image in found] == names
    assert named_coco.average_precision(path, found, classes) == 1.0
    assert compared_ap(path, found, classes) == 1.0


def compared_ap(path, found, classes):
    """As tools/compare_results.py finds it."""
    truth, ids = CocoTruth(Path(path)), [image["img_id"] for image in found]
    boxes = np.array([box for image in found for box in image["boxes"]], np.float32)
    predictions = SavedPredictions(
        path, np.array(ids), np.array([len(image["boxes"]) for image in found]),
        boxes.reshape(-1, 4), np.ones(len(boxes)),
        np.array([classes.index(n) for image in found for n in image["names"]]), classes,
    )  # fmt: skip
    matches = match_images(
        predictions,
        truth.annotations_of(ids),
        category_ids=truth.labels_of(predictions),
        iou_thresholds=np.array([0.5, 0.95]),
    )
    return WeightedAp(matches)(np.ones(len(ids), int))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(tmp_path, encoding):
    content = named_coco.content(("kreis für",), {1: [("kreis für", [4, 4, 9, 9])]})
    text = json.dumps(content, ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    found = named_coco.truth(path := str(tmp_path / "a.json"), ("kreis für",))
    assert named_coco.average_precision(path, found, ("kreis für",)) == 1.0


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'{"images": "\xe9"}', b"", b"[" * 10**5])
def test_no_json_is_refused_with_the_files_name(tmp_path, content):
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken.json is not JSON"):
        read_annotations(tmp_path / "broken.json")


def corners(content):
    for annotation in content["annotations"]:
        x, y, w, h = annotation["bbox"]
        annotation["bbox"] = [x, y, x + w, y + h]


def corners_without_area(content):
    corners(content)
    without("annotations", "area")(content)


def centres(content):
    for annotation in content["annotations"]:
        annotation["bbox"] = [52, 52, 22, 22]
    content["annotations"] = [dict(content["annotations"][0], id=i) for i in range(1, 6)]


def shares(content):
    for annotation in content["annotations"]:
        annotation["bbox"] = [value / named_coco.SIZE for value in annotation["bbox"]]


def one_of_shares(content):
    content["annotations"][1]["bbox"] = [0.5, 0.5, 0.25, 0.25]


REFUSED = {
    "corners": (corners, r"a.json: annotation 2 has bbox \[30, 8, 54, 32\].*\[30, 8, 24, 24\]"),
    "corners without area": (corners_without_area, r"annotation 2 .*\[30, 8, 54, 32\].*x1, y1, x2"),
    "centres": (centres, r"a.json: annotation 1 has bbox \[52, 52, .*cx, cy.* \[41, 41, 22, 22\]"),
    "shares": (shares, r"a.json: annotation 1 has bbox \[0.06.*shares of its image of 64x64"),
    "shares in one entry": (one_of_shares, r"annotation 2 has bbox \[0.5.*multiply x and w"),
    "iscrowd 2": (first(iscrowd=2), r"annotation 1 has iscrowd 2; write 0"),
    "an id of two spellings": (
        lambda c: c["images"].append(dict(c["images"][0], id="01")),
        r"images has id '01' twice",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_two_readings_is_refused(tmp_path, change, message):
    content = named_coco.content()
    change(content)
    path = named_coco.write(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match=message):
        check_boxes(read_annotations(path), path)


@pytest.mark.parametrize(
    "bbox",
    [[40, 40, 30, 10], [0, 0, 1, 1], [1, 0, 1, 1], [0, 0, 64, 64], [1, 1, 1, 1.5], [5, 5, 62, 62]],
)
def test_sound_boxes_pass(tmp_path, bbox):
    content = named_coco.content(boxes={1: [("square", [40, 50, 9, 9])] * 20})
    first(bbox=bbox, area=bbox[2] * bbox[3])(content)
    path = named_coco.write(tmp_path / "a.json", content)
    check_boxes(read_annotations(path), path)


@pytest.mark.parametrize("edge", [0, 3])
def test_boxes_beyond_their_image_pass_if_one_is_at_an_edge(tmp_path, edge):
    boxes = {1: [("square", [52, 52, 22, 22])] * 9 + [("square", [edge, 9, 9, 9])]}
    path = named_coco.write(tmp_path / "a.json", named_coco.content(boxes=boxes))
    check_boxes(read_annotations(path), path)


@pytest.mark.parametrize("is_percent", [True, False])
def test_percent_are_asked_about(tmp_path, log, is_percent):
    content = named_coco.content(boxes={i: [("square", [40, 50, 9, 9])] for i in range(1, 6)})
    every("images", width=640, height=480)(content)
    first(bbox=[40 if is_percent else 400, 50, 9, 9])(content)
    path = named_coco.write(tmp_path / "a.json", content)
    check_boxes(read_annotations(path), path)
    assert ("all 5 boxes lie in the first 100 px of larger images" in log.text) is is_percent


def test_blanks_around_names_do_not_count(tmp_path):
    path = named_coco.write(tmp_path / "a.json", named_coco.content(("square ", " disc"), {}))
    content = read_annotations(path)
    assert category_ids(content, ("disc", "square "), path) == [2, 1]


def test_counts_of_what_filters_drop(tmp_path, log):
    content = named_coco.content(("square", "disc", "ring"))
    content["images"] += [
        dict(id=3, file_name="3.jpg", width=64, height=64),
        dict(id=4, file_name="4.jpg", width=64, height=20),
    ]
    first(iscrowd=1)(content)
    path = named_coco.write(tmp_path / "a.json", content)
    kept = named_coco.dataset(path, ("square",), filter_cfg=dict(filter_empty_gt=True, min_size=32))
    assert len(kept) == 2
    assert "a.json: filter_cfg drops 2 of 4 images: 1 under min_size=32 px, 1 without" in log.text
    assert (
        "a.json: of 3 boxes, 1 are of other categories than classes, and 1 are crowds" in log.text
    )


def test_a_class_without_boxes_may_be_filtered_by(tmp_path):
    path = named_coco.write(tmp_path / "a.json", named_coco.content(("square", "disc", "ring")))
    options = dict(filter_cfg=dict(filter_empty_gt=True))
    assert len(named_coco.dataset(path, ("square", "ring"), **options)) == 2
    with pytest.raises(ValueError, match="need at least one array"):
        named_coco.dataset(path, ("ring",), **options)


def test_boxes_that_are_listed_twice(tmp_path, log):
    content = named_coco.content()
    content["annotations"].append(dict(content["annotations"][0], id=9))
    check_boxes(read_annotations(named_coco.write(tmp_path / "a.json", content)), "a.json")
    assert "a.json: 1 of 4 boxes are listed again" in log.text


def test_a_file_without_an_object_is_refused(tmp_path):
    content = named_coco.content()
    every("annotations", bbox=[1, 1, 0.5, 0.5], ignore=1)(content)
    shape = dict(type="NamedCocoDataset", metainfo=dict(classes=("square", "disc")))
    path = named_coco.write(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match="no box to learn from: 3 annotations"):
        check_datasets(dict(train_dataloader=dict(dataset=dict(shape, ann_file=path))))

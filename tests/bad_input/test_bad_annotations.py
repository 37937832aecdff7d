"""Annotation files that must be refused before training, each with what to correct."""

import json

import pytest
from coco_folder import write_coco_folder

from derain_plugin.datasets.checks.coco_check import check_datasets

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_coco_folder(tmp_path_factory.mktemp("sound"), num_images=2)


def check(folder, tmp_path, change):
    content = json.loads((folder / "annotations/instances_train2017.json").read_text())
    content = change(content) or content
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    dataset = dict(
        type="CocoDataset",
        ann_file=str(path),
        data_prefix=dict(img=str(folder / "train2017")),
        metainfo=dict(classes=("square", "disc")),
    )
    check_datasets(dict(train_dataloader=dict(dataset=dataset)))


def put(kind, **values):
    return lambda content: content[kind][0].update(values)


def lack(kind, key):
    return lambda content: content[kind][0].pop(key) and None


def repeat(kind):
    return lambda content: content[kind].append(dict(content[kind][0]))


def only_crowds(content):
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1


CASES = {
    "not an object": (lambda c: [1], "no list 'images'"),
    "entry is no object": (lambda c: c["images"].append(7), r"images\[2\] has no 'id'"),
    **{
        f"{kind} without {key}": (lack(kind, key), rf"{kind}\[0\] has no '{key}'; add it")
        for kind, keys in {
            "categories": ("id", "name"),
            "images": ("id", "file_name", "width", "height"),
            "annotations": ("image_id", "category_id", "bbox"),
        }.items()
        for key in keys
    },
    **{
        f"{kind} id twice": (repeat(kind), f"{kind} has id .* twice; give each")
        for kind in ("categories", "images", "annotations")
    },
    "id is a list": (put("images", id=[1]), r"images\[0\] has id \[1\]"),
    "image of no width": (put("images", width=0), "image 1 has size 0x"),
    "image width is text": (put("images", width="64"), "image 1 has size '64'x"),
    "image height is NaN": (put("images", height=NAN), "xnan; write the width"),
    "unknown category": (put("annotations", category_id=99), "of category 99, which is not"),
    "category is a list": (put("annotations", category_id=[1]), r"of category \[1\]"),
    "unknown image": (put("annotations", image_id=99), "of image 99, which is not listed"),
    "image is a list": (put("annotations", image_id=[1]), r"has image_id \[1\]"),
    "box of three": (put("annotations", bbox=[1, 2, 3]), r"bbox \[1, 2, 3\]; write four"),
    "box of text": (put("annotations", bbox=["1", 2, 3, 4]), "write four numbers"),
    "box is null": (put("annotations", bbox=None), "bbox None; write four numbers"),
    "box is infinite": (put("annotations", bbox=[1, 1, INFINITY, 4]), "no finite area"),
    "box of negative height": (put("annotations", bbox=[1, 1, 4, -4]), "no finite area"),
    "box below the image": (put("annotations", bbox=[1, 9999, 4, 4]), "inside its image 1"),
    "box left of the image": (put("annotations", bbox=[-50, 1, 4, 4]), "inside its image 1"),
    "area is NaN": (put("annotations", area=NAN), "area nan; write"),
    "area is text": (put("annotations", area="16"), "area '16'; write"),
    "crowds only": (only_crowds, "no box to learn from: .* all of them crowds"),
    "no annotation": (lambda c: c["annotations"].clear(), "no box to learn from: 0 annotations"),
}


@pytest.mark.parametrize(("change", "message"), CASES.values(), ids=CASES)
def test_refused_with_the_file_and_what_to_correct(folder, tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        check(folder, tmp_path, change)
    assert str(tmp_path / "bad.json") in str(error.value)


def test_zero_width_is_left_to_mmdet_which_skips_it(folder, tmp_path):
    check(folder, tmp_path, put("annotations", bbox=[1, 1, 0, 4]))

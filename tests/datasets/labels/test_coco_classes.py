import pytest
from mmdet.datasets import CocoDataset

from derain_plugin.datasets.labels import match_classes
from derain_plugin.datasets.labels.coco_classes import CATEGORY_IDS


def match(*names: str, overrides: dict[str, str] | None = None, ignored: tuple[str, ...] = ()):
    return match_classes(names, overrides=overrides or {}, ignored=ignored)


def test_categories_are_cocos_with_cocos_ids_in_cocos_order():
    assert tuple(CATEGORY_IDS) == CocoDataset.METAINFO["classes"]
    known = {
        "person": 1, "fire hydrant": 11, "stop sign": 13, "backpack": 27, "handbag": 31,
        "bottle": 44, "wine glass": 46, "bed": 65, "dining table": 67, "toilet": 70, "tv": 72,
        "refrigerator": 82, "book": 84, "toothbrush": 90,
    }  # fmt: skip
    assert {name: CATEGORY_IDS[name] for name in known} == known
    assert list(CATEGORY_IDS.values()) == sorted(set(CATEGORY_IDS.values()))


@pytest.mark.parametrize(
    ("name", "coco_name"),
    [
        ("car", "car"),
        ("Traffic_Light", "traffic light"),
        ("stop-sign", "stop sign"),
        (" BUS ", "bus"),
        ("trafficlight", "traffic light"),
        ("motorbike", "motorcycle"),
        ("aeroplane", "airplane"),
        ("tvmonitor", "tv"),
        ("pottedplant", "potted plant"),
        ("sofa", "couch"),
        ("diningtable", "dining table"),
        ("Pedestrian", "person"),
    ],
)
def test_same_and_well_known_names_match(name, coco_name):
    assert match(name) == {name: coco_name}


@pytest.mark.parametrize("name", ["rider", "cyclist", "people", "bike", "van", "", "c a r t"])
def test_doubtful_names_do_not(name):
    with pytest.raises(ValueError, match=f"{name!r}.*--class-map.*--ignore"):
        match("car", name)


def test_all_unknown_names_are_listed():
    with pytest.raises(ValueError, match="'misc', 'rider', 'van'"):
        match("van", "car", "rider", "misc")


def test_overrides_come_before_names_of_coco():
    overrides = {"Traffic-Sign": "stop_sign", "truck": "Bus"}
    matched = match("traffic sign", "truck", "car", overrides=overrides)
    assert matched == {"car": "car", "traffic sign": "stop sign", "truck": "bus"}


def test_ignored_names_match_nothing():
    assert match("car", "Misc", ignored=("misc", "absent")) == {"car": "car", "Misc": None}
    assert match("car", ignored=("CAR",)) == {"car": None}


def test_override_to_no_class_of_coco_is_refused():
    with pytest.raises(ValueError, match="'rider'='human'"):
        match("car", overrides={"rider": "human"})


def test_synonym_is_no_target():
    with pytest.raises(ValueError, match="no class 'pedestrian'"):
        match("rider", overrides={"rider": "pedestrian"})


def test_both_mapped_and_ignored_is_refused():
    with pytest.raises(ValueError, match="'van': mapped to a class and ignored"):
        match("van", overrides={"van": "car"}, ignored=("Van",))

import pytest
from label_folders import write_text
from mmdet.datasets import CocoDataset

from derain_plugin.datasets.labels import find_names_file, match_classes, read_class_names
from derain_plugin.datasets.labels.classes import CATEGORY_IDS


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("classes.txt", "car\nbus \n\n", {0: "car", 1: "bus"}),
        ("obj.names", "\ufefftraffic light\r\nbus", {0: "traffic light", 1: "bus"}),
        ("data.yaml", "names: [car, bus]", {0: "car", 1: "bus"}),
        ("data.yml", "nc: 2\nnames:\n- car\n- bus", {0: "car", 1: "bus"}),
        ("data.yaml", "names: {10: bus, 2: car}", {2: "car", 10: "bus"}),
        ("data.yaml", "names: {'0': car}", {0: "car"}),
    ],
)
def test_names_by_index(tmp_path, name, text, expected):
    assert read_class_names(write_text(tmp_path / name, text)) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [no, on, 007, null]", ["no", "on", "007", "null"]),
        ("names:\n  0: off\n  1: 12:30\n  2: 1e3", ["off", "12:30", "1e3"]),
        ("names: ['stop sign', \"no\", true]", ["stop sign", "no", "true"]),
    ],
)
def test_names_of_a_yaml_are_text(tmp_path, text, names):
    path = write_text(tmp_path / "data.yaml", text)
    assert read_class_names(path) == dict(enumerate(names))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nc: 3",
        "names: 3",
        "names: car",
        "- car",
        "names: {car: 0}",
        "names: [a",
        "names: !!python/x",
    ],
)
def test_yaml_without_names_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"data\.yaml gives no class names"):
        read_class_names(write_text(tmp_path / "data.yaml", text))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.names"):
        read_class_names(tmp_path / "absent.names")


def test_nearest_file_is_found(tmp_path):
    labels = tmp_path / "labels" / "val"
    labels.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="--names"):
        find_names_file(labels)
    for folder in (tmp_path, labels.parent, labels):
        names = write_text(folder / "classes.txt", folder.name)
        assert find_names_file(labels) == names.resolve()


def test_folders_farther_above_are_not_searched(tmp_path):
    write_text(tmp_path / "classes.txt", "car")
    labels = tmp_path / "set" / "labels" / "val"
    labels.mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        find_names_file(labels)


def test_files_that_agree_are_fine_and_others_are_not(tmp_path):
    write_text(tmp_path / "classes.txt", "car\nbus")
    write_text(tmp_path / "data.yaml", "names: [car, bus]")
    assert find_names_file(tmp_path).name == "data.yaml"
    write_text(tmp_path / "obj.names", "bus\ncar")
    with pytest.raises(ValueError, match=r"disagree.*--names"):
        find_names_file(tmp_path)


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

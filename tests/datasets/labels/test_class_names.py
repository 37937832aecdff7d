import pytest
from label_folders import write_text

from derain_plugin.datasets.labels import find_names_file, read_class_names


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
    "text", ["", "nc: 3", "names: 3", "- car", "names: {car: 0}", "names: [a", "names: !!python/x"]
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

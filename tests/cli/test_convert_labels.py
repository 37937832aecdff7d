import json
import runpy
import sys
from pathlib import Path

import pytest
from label_folders import BOXES, CLASSES, darknet_yolo, rid_voc, write_text

from derain_plugin.cli.convert_labels import main
from derain_plugin.datasets.labels import label_files as supervision_parser

TOOL = Path(__file__).parents[2] / "tools/dataset_converters/convert_labels.py"


def arguments(label_format: str, root: Path, *options: str) -> list[str]:
    images, labels = (rid_voc if label_format == "voc" else darknet_yolo)(root / "set")
    return [label_format, str(images), str(labels), str(root / "out" / "coco.json"), *options]


def categories(root: Path) -> list[str]:
    content = json.loads((root / "out" / "coco.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    return [names[annotation["category_id"]] for annotation in content["annotations"]]


@pytest.mark.parametrize("label_format", ["voc", "yolo"])
def test_writes_the_json_and_says_what_is_in_it(tmp_path, capsys, label_format):
    main(arguments(label_format, tmp_path))
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert len(content["images"]) == len(BOXES)
    assert len(content["categories"]) == 80
    printed = capsys.readouterr().out
    assert "4 images, 5 boxes: car 3, " in printed
    assert "motorbike -> motorcycle" in printed
    assert ("obj.names" in printed) == (label_format == "yolo")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "coco.json"]


def test_says_what_it_left_out(tmp_path, capsys):
    args = arguments("yolo", tmp_path, "--ignore", "pedestrian")
    labels = Path(args[2])
    write_text(labels / "rain_1.txt", "0 0.5 0.5 0 0.5\n2 0.5 0.5 1 1")
    write_text(labels / "train.txt", "rain_1.jpg")
    (labels / "rain_2.txt").unlink()
    main(args)
    printed = capsys.readouterr().out
    assert "ignored boxes: pedestrian 1" in printed
    assert f"1 boxes dropped that have no area inside their image: {labels}/rain_1.txt:1" in printed
    assert f"1 images without a label file, taken as images without objects: {labels}/rain_2" in (
        printed
    )
    assert f"1 label files without an image, left out: {labels}/train.txt" in printed


def test_class_map_in_words_and_in_a_file(tmp_path):
    class_map = write_text(tmp_path / "map.json", json.dumps({"car": "truck"}))
    main(arguments("voc", tmp_path, "--class-map", str(class_map), "pedestrian=teddy bear"))
    assert set(categories(tmp_path)) == {"truck", "motorcycle", "teddy bear"}


def test_names_in_words_and_in_a_file(tmp_path):
    names = write_text(tmp_path / "three.names", "\n".join(reversed(CLASSES)))
    main(arguments("yolo", tmp_path / "a", "--names", str(names)))
    main(arguments("yolo", tmp_path / "b", "--names", *reversed(CLASSES)))
    assert categories(tmp_path / "a") == categories(tmp_path / "b")
    assert categories(tmp_path / "a").count("person") == 3


def test_existing_file_is_refused(tmp_path, capsys):
    args = arguments("voc", tmp_path)
    out = write_text(Path(args[3]), "precious")
    with pytest.raises(SystemExit) as stopped:
        main(args)
    assert stopped.value.code == 2
    assert "coco.json exists" in capsys.readouterr().err
    assert out.read_text() == "precious"


def test_names_are_not_for_voc(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(arguments("voc", tmp_path, "--names", "car"))
    assert "--names is for yolo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class-map", "car=automobile"], "no class 'automobile'"),
        (["--class-map", "car:truck"], "NAME=COCO_NAME.*car:truck"),
        (["--class-map", "absent.json"], r"absent\.json"),
        (["--names", "absent.names"], r"absent\.names does not exist"),
        (["--names", "car", "motorbike"], r"rain_1\.txt:2: class 2 has no name"),
        (["--names", "car", "motorbike", "rider"], "--ignore 'rider'"),
    ],
)
def test_errors_of_users_end_in_a_sentence_and_write_nothing(tmp_path, options, message):
    with pytest.raises(SystemExit, match=rf"^convert_labels: .*{message}"):
        main(arguments("yolo", tmp_path, *options))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"car": null}'])
def test_bad_class_map_file_is_refused(tmp_path, text):
    class_map = write_text(tmp_path / "map.json", text)
    with pytest.raises(SystemExit, match=r"map\.json"):
        main(arguments("voc", tmp_path, "--class-map", str(class_map)))


@pytest.fixture
def _fresh_import():
    supervision_parser._supervision.cache_clear()
    yield
    supervision_parser._supervision.cache_clear()


@pytest.mark.usefixtures("_fresh_import")
def test_missing_supervision_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(SystemExit, match="pip install 'supervision"):
        main(arguments("voc", tmp_path))


@pytest.mark.usefixtures("_fresh_import")
def test_old_supervision_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("supervision.__version__", "0.25.1")
    with pytest.raises(SystemExit, match=r"0\.25\.1.*pip install 'supervision"):
        main(arguments("voc", tmp_path))


def test_tool_explains_itself(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(TOOL), "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(TOOL), run_name="__main__")
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "DAWN" in shown
    assert "Examples:" in shown


@pytest.mark.parametrize(
    ("yaml", "options", "line", "boxes"),
    [
        ("names: [car]\nkpt_shape: [2, 2]\n", [], "0 .5 .5 .5 .5 .1 .1 .2 .2", 1),
        ("names: [car]\n", [], "0 .1 .1 .5 .1 .5 .5", 1),
        ("names: [car]\n", ["--layout", "pose"], "0 .5 .5 .5 .5 .1 .1 2", 1),
        ("names: [car]\nkpt_shape: [2, 2]\n", [], "0 .1 .1 .5 .1 .5 .5", "keypoints 2 x 2"),
        ("names: [car]\nkpt_shape: 3\n", [], "0 .5 .5 .5 .5", "kpt_shape must be two whole"),
        (None, ["--names", "car", "bus"], "0 .1 .1 .5 .1 .5 .5", "--layout segment, obb or pose"),
    ],
)
def test_the_layout_is_that_of_data_yaml_or_asked_for(tmp_path, yaml, options, line, boxes):
    args = arguments("yolo", tmp_path, *options)
    labels = Path(args[2])
    for path in labels.glob("*.txt"):
        write_text(path, line)
    if yaml:
        write_text(labels / "data.yaml", yaml)
    if isinstance(boxes, int):
        main(args)
        assert categories(tmp_path) == ["car"] * boxes * len(BOXES)
    else:
        with pytest.raises(SystemExit) as stopped:
            main(args)
        assert boxes in str(stopped.value)


def test_kept_classes_sizes_and_flags(tmp_path, capsys):
    args = arguments("voc", tmp_path, "--keep-classes", "--sizes", "scale", "--difficult", "skip")
    labels = Path(args[2])
    text = (labels / "rain_10.xml").read_text()
    size = "<size><width>128</width><height>96</height></size>"
    text = text.replace("<object>", f"{size}<object>").replace(
        "<difficult>0", "<difficult>Unspecified"
    )
    write_text(labels / "rain_10.xml", text)
    write_text(
        labels / "rain_3.xml",
        (labels / "rain_3.xml").read_text().replace("<object>", f"{size}<object>", 1),
    )
    main(args)
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [category["name"] for category in content["categories"]] == [
        "Car",
        "motorbike",
        "pedestrian",
    ]
    by_image = {image["id"]: image["file_name"] for image in content["images"]}
    found = {by_image[a["image_id"]]: a["bbox"] for a in content["annotations"]}
    assert "rain_10.JPG" not in found
    assert found["rain_3.JPG"] == [0, 12, 8, 12]
    assert "flagged difficult in another word: Unspecified 1" in capsys.readouterr().out

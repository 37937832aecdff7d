import pytest
from label_folders import write_text

from derain_plugin.datasets.labels import LabelledBox, read_yolo

NAMES = {0: "car", 2: "bus"}


def read(path, text: str) -> list[LabelledBox]:
    return read_yolo(write_text(path / "a.txt", text), 64, 48, names=NAMES)


def test_shares_of_the_image_become_pixels(tmp_path):
    (box,) = read(tmp_path, "2 0.5 0.25 0.25 0.5\n")
    assert box == LabelledBox("bus", (24, 0, 40, 24), f"{tmp_path / 'a.txt'}:1")


def test_polygon_becomes_its_box(tmp_path):
    boxes = read(tmp_path, "0 0.25 0.5 0.75 0.25 0.5 1.0\n0 0.5 0.5 1 1\n")
    assert [box.corners for box in boxes] == [(16, 12, 48, 48), (0, 0, 64, 48)]


def test_blank_lines_count_but_are_no_labels(tmp_path):
    boxes = read(tmp_path, "\n0 .5 .5 1 1\n \n\t2 .5 .5 1 1\r\n")
    assert [(box.name, box.where.rpartition(":")[2]) for box in boxes] == [
        ("car", "2"),
        ("bus", "4"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_empty_file_has_no_boxes(tmp_path, text):
    assert read(tmp_path, text) == []


def test_byte_order_mark_and_index_written_as_float(tmp_path):
    (box,) = read(tmp_path, "\ufeff2.0 0.5 0.5 1 1")
    assert box.name == "bus"


def test_coordinates_rounded_beyond_the_image_are_taken(tmp_path):
    (box,) = read(tmp_path, "0 0.5 0.5 1.0000012 1.001")
    assert box.clipped(64, 48) == (0, 0, 64, 48)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 1", "4 columns"),
        ("0", "1 columns"),
        ("0 0.5 0.5 1 1 0.9", "6 columns.*predictions"),
        ("0 .1 .1 .2 .1 .2 .2 .9", "8 columns"),
        ("car 0.5 0.5 1 1", "'car'"),
        ("0.5 0.5 0.5 1 1", r"'0\.5'"),
        ("nan 0.5 0.5 1 1", "'nan'"),
        ("1 0.5 0.5 1 1", r"class 1 has no name.*\[0, 2\]"),
        ("-1 0.5 0.5 1 1", "class -1"),
        ("0 nan 0.5 1 1", "nan must be in 0-1"),
        ("0 0.5 inf 1 1", "inf must be in 0-1"),
        ("0 32 24 64 48", "32 must be in 0-1"),
        ("0 0.5 0.5 -0.5 1", r"-0\.5 must be in 0-1"),
        ("0 0.5 0.5 -0.005 1", r"negative|non-negative"),
        ("0 0,5 0.5 1 1", "0,5"),
        ("0 .1 .1 .2 .1 .2 7", "7 must be in 0-1"),
    ],
)
def test_malformed_lines_are_refused_by_file_and_line(tmp_path, line, message):
    with pytest.raises(ValueError, match=rf"a\.txt:2: .*{message}"):
        read(tmp_path, f"0 0.5 0.5 1 1\n{line}\n")


def test_what_is_not_text_is_refused(tmp_path):
    path = tmp_path / "b.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match=r"b\.txt is not text"):
        read_yolo(path, 64, 48, names=NAMES)

import pytest
from label_folders import HEIGHT, WIDTH, voc_annotation, voc_object, write_text

from derain_plugin.datasets.labels import LabelError, LabelledBox, read_voc, read_yolo

BOX = (8, 6, 40, 30)
NAMES = {0: "car", 2: "bus"}
TWICE = "<bndbox><xmin>1</xmin></bndbox></object>"


def voc_boxes(path, *objects: str, **size) -> list[LabelledBox]:
    return read_voc(write_text(path / "a.xml", voc_annotation(*objects, **size)), WIDTH, HEIGHT)


def test_pixels_counted_from_one_become_edges(tmp_path):
    (box,) = voc_boxes(tmp_path, voc_object("car", BOX))
    assert box.corners == BOX
    assert (box.name, box.is_difficult) == ("car", False)


def test_objects_keep_their_order_and_place(tmp_path):
    boxes = voc_boxes(tmp_path, voc_object("van", BOX), voc_object(" bus\n", (0, 0, 1, 1.5)))
    assert [box.name for box in boxes] == ["van", "bus"]
    assert boxes[1].corners == (0, 0, 1, 1.5)
    assert boxes[1].where == f"{tmp_path / 'a.xml'}, object 2"


FLAGS = [("1", True), ("0", False), ("", False), ("True", True)]


@pytest.mark.parametrize(("flag", "expected"), FLAGS)
def test_difficult_flag(tmp_path, flag, expected):
    (box,) = voc_boxes(tmp_path, voc_object("car", BOX, extra=f"<difficult>{flag}</difficult>"))
    assert box.is_difficult is expected


def test_parts_and_polygons_do_not_disturb_the_box(tmp_path):
    extra = (
        "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
        "<polygon><x1>1</x1><y1>1</y1><x2>5</x2></polygon>"
    )
    (box,) = voc_boxes(tmp_path, voc_object("person", BOX, extra=extra))
    assert (box.name, box.corners) == ("person", BOX)


def test_reversed_corners_are_the_same_box(tmp_path):
    x1, y1, x2, y2 = BOX
    (box,) = voc_boxes(tmp_path, voc_object("car", (x2 - 1, y1, x1 + 1, y2)))
    assert box.corners == BOX


@pytest.mark.parametrize("encoding", ["GBK", "gb18030", "Shift_JIS", "utf-16", "utf-8-sig"])
def test_encodings_of_label_tools_are_read(tmp_path, encoding):
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    (tmp_path / "a.xml").write_text(text + voc_annotation(voc_object("車", BOX)), encoding)
    (box,) = read_voc(tmp_path / "a.xml", WIDTH, HEIGHT)
    assert (box.name, box.corners) == ("車", BOX)


def test_a_pixel_in_the_first_corner_is_a_box(tmp_path):
    (box,) = voc_boxes(tmp_path, voc_object("car", (0, 0, 1, 1)))
    assert box.corners == (0, 0, 1, 1)


@pytest.mark.parametrize("size", [None, (0, 0), (WIDTH, HEIGHT)])
def test_size_may_be_absent_or_zero(tmp_path, size):
    assert len(voc_boxes(tmp_path, voc_object("car", BOX), size=size)) == 1


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (640, 480), (WIDTH, 0), (float("nan"), HEIGHT)])
def test_labels_of_another_size_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=r"a\.xml labels an image of .* loaded as 64 x 48"):
        voc_boxes(tmp_path, voc_object("car", BOX), size=size)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "well-formed.*line 1"),
        ("", "well-formed"),
        ("\x00", "well-formed"),
        ('<!DOCTYPE a [<!ENTITY e "x">]><annotation>&e;</annotation>', "well-formed"),
        ("<annotations><image/></annotations>", "root is <annotations>"),
        (voc_annotation(size=("wide", 48)), "<size>.*'wide'"),
        (voc_annotation("<object/>"), "object 1: it has no name"),
        (voc_annotation(voc_object("car", BOX), "<object><name>car</name></object>"), "object 2"),
        (voc_annotation(f"<objects>{voc_object('car', BOX)}</objects>"), "not directly in"),
        (voc_annotation(voc_object("car", BOX).replace("</object>", TWICE)), "several <bndbox>"),
        (voc_annotation(voc_object("car", (-0.9, -0.8, 0.5, 0.6))), "object 1: .*shares.*write px"),
        (voc_annotation(voc_object("car", (-1, -1, 1, 1))), "object 1: .*shares.*write px"),
        ('<?xml version="1.0" encoding="gb-0"?><annotation/>', "well-formed.*gb-0"),
        (voc_annotation(voc_object("car", (float("nan"), 0, 1, 1))), "object 1.*xmin.*nan"),
        (voc_annotation(voc_object("car", (0, 0, float("inf"), 1))), "object 1.*xmax.*inf"),
        (voc_annotation(voc_object("car", BOX).replace("<ymax>30", "<ymax>3O")), "ymax.*'3O'"),
        (
            voc_annotation(voc_object("car", BOX, extra="<difficult>Unspecified</difficult>")),
            "object 1: .*'Unspecified', neither 0 nor 1.*--difficult",
        ),
    ],
)
def test_malformed_files_are_refused_by_name(tmp_path, text, message):
    path = write_text(tmp_path / "bad.xml", text)
    with pytest.raises(ValueError, match=rf"bad\.xml.*{message}"):
        read_voc(path, WIDTH, HEIGHT)


def yolo_boxes(path, text: str, **options) -> list[LabelledBox]:
    return read_yolo(write_text(path / "a.txt", text), 64, 48, names=NAMES, **options)


def test_shares_of_the_image_become_pixels(tmp_path):
    (box,) = yolo_boxes(tmp_path, "2 0.5 0.25 0.25 0.5\n")
    assert box == LabelledBox("bus", (24, 0, 40, 24), f"{tmp_path / 'a.txt'}:1")


def test_polygon_becomes_its_box(tmp_path):
    text = "0 0.25 0.5 0.75 0.25 0.5 1.0\n0 0.5 0.5 1 1\n"
    boxes = yolo_boxes(tmp_path, text, layout="segment")
    assert [box.corners for box in boxes] == [(16, 12, 48, 48), (0, 0, 64, 48)]


def test_blank_lines_count_but_are_no_labels(tmp_path):
    boxes = yolo_boxes(tmp_path, "\n0 .5 .5 1 1\n \n\t2 .5 .5 1 1\r\n")
    assert [(box.name, box.where.rpartition(":")[2]) for box in boxes] == [
        ("car", "2"),
        ("bus", "4"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_empty_file_has_no_boxes(tmp_path, text):
    assert yolo_boxes(tmp_path, text) == []


def test_byte_order_mark_and_index_written_as_float(tmp_path):
    (box,) = yolo_boxes(tmp_path, "\ufeff2.0 0.5 0.5 1 1")
    assert box.name == "bus"


def test_coordinates_rounded_beyond_the_image_are_taken(tmp_path):
    (box,) = yolo_boxes(tmp_path, "0 0.5 0.5 1.0000012 1.001")
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
        yolo_boxes(tmp_path, f"0 0.5 0.5 1 1\n{line}\n", layout="segment")


def test_what_is_not_text_is_refused(tmp_path):
    path = tmp_path / "b.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match=r"b\.txt is not text"):
        read_yolo(path, 64, 48, names=NAMES)


POSE = "0 0.5 0.25 0.25 0.5 " + "0.9 0.9 2 " * 4


@pytest.mark.parametrize(
    ("layout", "keypoints", "line", "corners"),
    [
        ("pose", (4, 3), POSE, (24, 0, 40, 24)),
        ("pose", None, POSE, (24, 0, 40, 24)),
        ("pose", (2, 2), "0 0.5 0.25 0.25 0.5 0.9 0.9 -0.2 1.3", (24, 0, 40, 24)),
        ("pose", (1, 2), "0 0.5 0.25 0.25 0.5", (24, 0, 40, 24)),
        ("obb", None, "0 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5", (16, 12, 48, 24)),
        ("segment", None, "0 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5", (16, 12, 48, 24)),
        ("detect", None, "0 0.5 0.25 0.25 0.5", (24, 0, 40, 24)),
    ],
)
def test_longer_lines_are_what_the_layout_says(tmp_path, layout, keypoints, line, corners):
    (box,) = yolo_boxes(tmp_path, line, layout=layout, keypoints=keypoints)
    assert box.corners == corners


@pytest.mark.parametrize(
    ("layout", "keypoints", "line", "message"),
    [
        (None, None, "0 0.25 0.5 0.75 0.25 0.5 1.0", "7 columns may be a polygon or a box with"),
        (None, None, POSE, r"17 columns may be .* --layout segment, obb or pose"),
        (None, None, "0 0.5 0.5 1 1 0.9", "6 columns.*predictions"),
        ("pose", (17, 3), POSE, "17 columns.*keypoints 17 x 3"),
        ("pose", None, "0 0.5 0.5 1 1 0.9", "6 columns.*predictions"),
        ("detect", None, "0 0.25 0.5 0.75 0.25 0.5 1.0", "7 columns; a label has 5"),
        ("obb", None, "0 0.25 0.5 0.75 0.25 0.5 1.0", "with corners 9"),
    ],
)
def test_a_line_with_two_readings_is_asked_about(tmp_path, layout, keypoints, line, message):
    with pytest.raises(ValueError, match=rf"a\.txt:1: .*{message}"):
        yolo_boxes(tmp_path, line, layout=layout, keypoints=keypoints)


def test_all_problems_of_a_file_are_named(tmp_path):
    with pytest.raises(LabelError) as error:
        yolo_boxes(tmp_path, "0 0.5 0.5 1\n0 0.5 0.5 1 1\n7 0.5 0.5 1 1\n")
    first, second = error.value.problems
    assert "4 columns" in first
    assert "class 7" in second
    with pytest.raises(LabelError) as error:
        voc_boxes(tmp_path, "<object/>", voc_object("car", BOX), "<object/>")
    assert [p.partition(", ")[2][:8] for p in error.value.problems] == ["object 1", "object 3"]


def test_boxes_of_a_resized_image_are_scaled(tmp_path):
    path = write_text(tmp_path / "a.xml", voc_annotation(voc_object("car", BOX), size=(128, 144)))
    (box,) = read_voc(path, WIDTH, HEIGHT, sizes="scale")
    assert box.corners == (4, 2, 20, 10)
    assert read_voc(path, WIDTH, HEIGHT, sizes="skip") is None


def test_boxes_of_a_turned_image_are_not_scaled(tmp_path):
    path = write_text(
        tmp_path / "a.xml", voc_annotation(voc_object("car", BOX), size=(HEIGHT, WIDTH))
    )
    with pytest.raises(ValueError, match="turned by its EXIF tag"):
        read_voc(path, WIDTH, HEIGHT, sizes="scale")


@pytest.mark.parametrize(
    ("unclear", "is_difficult", "is_left_out"),
    [("count", False, False), ("crowd", True, False), ("skip", False, True)],
)
def test_an_unclear_flag_is_what_the_user_says(tmp_path, unclear, is_difficult, is_left_out):
    flag = "<difficult>Unspecified</difficult>"
    path = write_text(tmp_path / "a.xml", voc_annotation(voc_object("car", BOX, extra=flag)))
    (box,) = read_voc(path, WIDTH, HEIGHT, unclear=unclear)
    assert (box.is_difficult, box.is_left_out) == (is_difficult, is_left_out)
    assert box.unclear == "Unspecified"

import pytest
from label_folders import HEIGHT, WIDTH, voc_annotation, voc_object, write_text

from derain_plugin.datasets.labels import LabelledBox, read_voc

BOX = (8, 6, 40, 30)


def read(path, *objects: str, **size) -> list[LabelledBox]:
    return read_voc(write_text(path / "a.xml", voc_annotation(*objects, **size)), WIDTH, HEIGHT)


def test_pixels_counted_from_one_become_edges(tmp_path):
    (box,) = read(tmp_path, voc_object("car", BOX))
    assert box.corners == BOX
    assert (box.name, box.is_difficult) == ("car", False)


def test_objects_keep_their_order_and_place(tmp_path):
    boxes = read(tmp_path, voc_object("van", BOX), voc_object(" bus\n", (0, 0, 1, 1.5)))
    assert [box.name for box in boxes] == ["van", "bus"]
    assert boxes[1].corners == (0, 0, 1, 1.5)
    assert boxes[1].where == f"{tmp_path / 'a.xml'}, object 2"


@pytest.mark.parametrize(("flag", "expected"), [("1", True), ("0", False), ("", False)])
def test_difficult_flag(tmp_path, flag, expected):
    (box,) = read(tmp_path, voc_object("car", BOX, extra=f"<difficult>{flag}</difficult>"))
    assert box.is_difficult is expected


def test_parts_and_polygons_do_not_disturb_the_box(tmp_path):
    extra = (
        "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
        "<polygon><x1>1</x1><y1>1</y1><x2>5</x2></polygon>"
    )
    (box,) = read(tmp_path, voc_object("person", BOX, extra=extra))
    assert (box.name, box.corners) == ("person", BOX)


def test_reversed_corners_are_the_same_box(tmp_path):
    x1, y1, x2, y2 = BOX
    (box,) = read(tmp_path, voc_object("car", (x2 - 1, y1, x1 + 1, y2)))
    assert box.corners == BOX


@pytest.mark.parametrize("size", [None, (0, 0), (WIDTH, HEIGHT)])
def test_size_may_be_absent_or_zero(tmp_path, size):
    assert len(read(tmp_path, voc_object("car", BOX), size=size)) == 1


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (640, 480), (WIDTH, 0), (float("nan"), HEIGHT)])
def test_labels_of_another_size_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=r"a\.xml labels an image of .* loaded as 64 x 48"):
        read(tmp_path, voc_object("car", BOX), size=size)


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
        (voc_annotation(voc_object("car", (float("nan"), 0, 1, 1))), "object 1.*xmin.*nan"),
        (voc_annotation(voc_object("car", (0, 0, float("inf"), 1))), "object 1.*xmax.*inf"),
        (voc_annotation(voc_object("car", BOX).replace("<ymax>30", "<ymax>3O")), "ymax.*'3O'"),
        (voc_annotation(voc_object("car", BOX, extra="<difficult>yes</difficult>")), "'yes'"),
    ],
)
def test_malformed_files_are_refused_by_name(tmp_path, text, message):
    path = write_text(tmp_path / "bad.xml", text)
    with pytest.raises(ValueError, match=rf"bad\.xml.*{message}"):
        read_voc(path, WIDTH, HEIGHT)

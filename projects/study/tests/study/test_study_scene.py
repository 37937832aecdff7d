import numpy as np
import pytest

from projects.study.difficulty import MIN_VISIBLE, SIZES
from projects.study.glyphs import CLASSES, DISTRACTORS, GLYPHS, SIDE, STYLES, draw_glyph, draw_look
from projects.study.photos import PHOTOS, load_split
from projects.study.scene import render_study_scene


@pytest.fixture(scope="module")
def scenes():
    return [render_study_scene("train", index) for index in range(200)]


def test_no_photograph_is_in_two_splits():
    names = [name for split in PHOTOS.values() for name in split]
    assert len(names) == len(set(names)) > 18
    for split, expected in PHOTOS.items():
        assert len(load_split(split)) == len(expected)


def test_an_image_depends_on_its_index_alone(scenes):
    again = render_study_scene("train", 7)
    assert np.array_equal(again.image, scenes[7].image)
    assert np.array_equal(again.boxes, scenes[7].boxes)
    for other in (render_study_scene("val", 7), render_study_scene("train", 7, seed=1)):
        assert other.image.shape != again.image.shape or (other.image != again.image).any()


def test_as_many_objects_are_small_as_in_coco(scenes):
    areas = np.concatenate([scene.areas for scene in scenes])
    shares = np.histogram(areas, [0, 32**2, 96**2, np.inf])[0] / len(areas)
    # Large by COCO's limit is a quarter of these images: few can be.
    assert shares == pytest.approx([0.42, 0.52, 0.06], abs=0.06)
    assert 4 < len(areas) / len(scenes) < 10


def test_boxes_are_inside_the_image(scenes):
    for scene in scenes:
        assert scene.image.shape[1::-1] in SIZES
        x, y, width, height = scene.boxes.T
        assert (scene.boxes >= 0).all()
        assert (x + width <= scene.image.shape[1]).all()
        assert (y + height <= scene.image.shape[0]).all()
        assert (width * height == scene.areas).all()
        assert (scene.areas > 0).all()


def test_enough_of_each_object_is_visible(scenes):
    visible = np.array([note["visible"] for scene in scenes for note in scene.notes])
    assert visible.min() >= MIN_VISIBLE - 1e-3
    assert visible.max() <= 1
    assert 0.2 < (visible < 0.9).mean() < 0.6


def test_every_class_is_drawn_with_every_glyph_and_in_every_style(scenes):
    notes = [
        (CLASSES[label], note)
        for scene in scenes
        for label, note in zip(scene.labels, scene.notes, strict=True)
    ]
    assert len(CLASSES) >= 12
    drawn = {(name, note["style"]) for name, note in notes}
    assert drawn == {(name, style) for name in CLASSES for style in STYLES}
    assert {note["glyph"] for _, note in notes} == set("".join(GLYPHS.values()))


def test_no_glyph_is_of_two_classes_or_missing_from_the_font():
    used = [*"".join(GLYPHS.values()), *DISTRACTORS]
    assert len(used) == len(set(used))
    images = {draw_glyph(character).tobytes() for character in [*used, "\uffff"]}
    assert len(images) == len(used) + 1


@pytest.mark.parametrize("style", STYLES)
def test_looks_fill_their_array(style):
    look = draw_look(draw_glyph("♜"), style)
    assert look.cover.shape == look.ink.shape
    solid = look.cover > 127
    assert solid[0].any() and solid[-1].any() and solid[:, 0].any() and solid[:, -1].any()  # noqa: PT018
    assert max(look.cover.shape) >= SIDE - 4

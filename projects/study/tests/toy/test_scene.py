import numpy as np
import pytest

from projects.study.toy.photos import PHOTOS, load_split
from projects.study.toy.scene import SIZES, _hides_too_much, render_scene
from projects.study.toy.shapes import CLASSES, shape_mask


@pytest.fixture(scope="module")
def scenes():
    return [render_scene("train", index) for index in range(80)]


def test_no_photograph_is_in_two_splits():
    names = [name for split in PHOTOS.values() for name in split]
    assert len(names) == len(set(names)) > 15


@pytest.mark.parametrize("split", PHOTOS)
def test_photographs_are_colour_images(split):
    for photo in load_split(split):
        assert photo.dtype == np.uint8
        assert photo.ndim == 3
        assert photo.shape[2] == 3


def test_an_image_depends_on_its_index_alone(scenes):
    again = render_scene("train", 7)
    assert np.array_equal(again.image, scenes[7].image)
    assert np.array_equal(again.boxes, scenes[7].boxes)
    for other in (render_scene("val", 7), render_scene("train", 7, seed=1), scenes[8]):
        assert other.image.shape != again.image.shape or (other.image != again.image).any()


def test_variety(scenes):
    assert {scene.image.shape[1::-1] for scene in scenes} == set(SIZES)
    assert set(np.concatenate([scene.labels for scene in scenes])) == set(range(len(CLASSES)))
    sides = np.sqrt(np.concatenate([scene.areas for scene in scenes]))
    assert sides.min() < 12 < 40 < sides.max()
    assert {len(scene.labels) for scene in scenes} == {3, 4, 5, 6, 7, 8}


def test_boxes_are_tight_inside_the_image_and_hold_what_is_visible(scenes):
    for scene in scenes:
        height, width = scene.image.shape[:2]
        x, y, w, h = scene.boxes.T
        assert (scene.boxes >= 0).all()
        assert (w > 1).all()
        assert (h > 1).all()
        assert (x + w <= width).all()
        assert (y + h <= height).all()
        assert (scene.areas <= w * h).all()


def test_shapes_overlap(scenes):
    overlapping = 0
    for scene in scenes:
        x, y, w, h = scene.boxes.T
        right, bottom = np.minimum.outer(x + w, x + w), np.minimum.outer(y + h, y + h)
        left, top = np.maximum.outer(x, x), np.maximum.outer(y, y)
        overlapping += ((right > left) & (bottom > top)).sum() > len(x)
    assert overlapping > len(scenes) / 3


@pytest.mark.parametrize(("columns", "refused"), [(4, False), (5, True)])
def test_a_shape_that_hides_too_much_of_another_is_refused(columns, refused):
    owner = np.full((10, 20), -1, np.int16)
    owner[:, :10] = 0
    mask = np.full((10, columns), 255, np.uint8)
    window = np.s_[0:10, 0:columns]
    assert _hides_too_much(owner, window, mask, [(3, 100)]) == refused


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
@pytest.mark.parametrize("degrees", [0, 45, -30])
def test_masks_fill_their_array(label, degrees):
    mask = shape_mask(label, width=40, height=60, degrees=degrees)
    assert mask.dtype == np.uint8
    assert mask.max() == 255
    covered = np.argwhere(mask > 0)
    assert (covered.min(0) <= 2).all()
    assert (covered.max(0) >= np.array(mask.shape) - 4).all()


def test_shapes_differ():
    masks = [shape_mask(label, width=60, height=60, degrees=0) for label in range(len(CLASSES))]
    canvas = [np.zeros((64, 64), bool) for _ in masks]
    for place, mask in zip(canvas, masks, strict=True):
        place[: mask.shape[0], : mask.shape[1]] = mask > 127
    for i, one in enumerate(canvas):
        for other in canvas[:i]:
            assert (one & other).sum() / (one | other).sum() < 0.85

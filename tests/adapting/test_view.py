"""Parts of photos that are trained on: image, rainy copy and boxes the same."""

import random

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from small_detectors import write_photos

from derain_plugin.adapting.rainy_copies import RainyCopies
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.adapting.view import View
from derain_plugin.rain.images import read_image

SHAPE = 50, 80


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path)


def numbered():
    """An image whose pixels hold their row and column."""
    rows, columns = np.indices(SHAPE)
    return np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)


def test_half_of_the_views_are_smaller_by_up_to_the_share():
    random.seed(0)
    views = [View.draw(SHAPE, crop=0.6) for _ in range(400)]
    sizes = [(view.rows[1] - view.rows[0], view.columns[1] - view.columns[0]) for view in views]
    cropped = [size for size in sizes if size != SHAPE]
    assert 160 < len(cropped) < 240
    assert min(cropped) < (25, 40)
    assert min(height for height, _ in cropped) >= 20
    assert min(width for _, width in cropped) >= 32
    assert all(abs(height / 50 - width / 80) < 0.02 for height, width in cropped)
    assert len({view.rows[0] for view in views}) > 15
    assert 160 < sum(view.is_flipped for view in views) < 240
    assert {View.draw(SHAPE, crop=0.0)[1:3] for _ in range(50)} == {((0, 50), (0, 80))}


def test_an_image_is_cut_and_then_flipped():
    image = numbered()
    view = View(SHAPE, (10, 30), (20, 60))
    assert np.array_equal(view.of(image), image[10:30, 20:60])
    flipped = view._replace(is_flipped=True).of(image)
    assert np.array_equal(flipped, image[10:30, 20:60][:, ::-1])
    assert flipped.flags.c_contiguous
    assert View(SHAPE, (0, 50), (0, 80)).of(image) is image


@pytest.mark.parametrize("is_flipped", [False, True])
def test_boxes_lie_where_the_image_shows_them(is_flipped):
    labelled = InstanceData(
        bboxes=torch.tensor([[25.0, 12, 35, 22], [10, 5, 24, 12], [0, 0, 10, 10], [70, 0, 80, 9]]),
        labels=torch.tensor([0, 1, 2, 3]),
        is_crowd=torch.tensor([False, True, False, False]),
    )
    seen = View(SHAPE, (10, 30), (20, 60), is_flipped).objects(labelled)
    expected = [[5, 2, 15, 12], [0, 0, 4, 2]]
    if is_flipped:
        expected = [[40 - right, top, 40 - left, bottom] for left, top, right, bottom in expected]
    assert seen.bboxes.tolist() == expected
    assert (seen.labels.tolist(), seen.is_crowd.tolist()) == ([0, 1], [False, True])
    assert seen.shape == (20, 40)
    assert len(View(SHAPE, (40, 50), (40, 60)).objects(labelled)) == 0
    whole = View(SHAPE, (0, 50), (0, 80)).objects(labelled)
    assert torch.equal(whole.bboxes, labelled.bboxes)


def test_clean_and_rainy_twins_show_the_same_part(photos):
    made = RainyTwins(
        photos[:1], lambda image: image, num_samples=40, crop=0.6,
        renderer=lambda image, severity, *, seed: image + 1,
    )  # fmt: skip
    made.set_run_seed(0)
    whole = read_image(photos[0]).shape
    samples = [made[index] for index in range(40)]
    assert {sample["clean"].shape == whole for sample in samples} == {False, True}
    for sample in samples:
        assert np.array_equal(sample["rainy"], sample["clean"] + (sample["severity"] > 0))
    with pytest.raises(ValueError, match="crop must be from 0 to below 1, got 1"):
        RainyTwins(photos, lambda image: image, num_samples=1, crop=1)


def test_rainy_copies_are_cut_like_their_photo(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    for photo in photos:
        (folder / photo.name).write_bytes(photo.read_bytes())
    copies = RainyCopies(folder)
    copies._files = {(photo, 0): folder / photo.name for photo in photos}
    image = read_image(photos[0])
    view = View(image.shape[:2], (5, 25), (10, 40), is_flipped=True)
    seen = copies.on(view.of(image), 3, seed=0, photo=photos[0], view=view)
    assert np.array_equal(seen, view.of(image))

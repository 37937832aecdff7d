"""Annotated images: what is painted, how views are arranged, and what an annotator chooses."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from derain_plugin.apis import Annotator
from derain_plugin.apis.annotator import Painter, View, arrange
from derain_plugin.visualization import MaskedImage

IMAGE = np.full((330, 400, 3), 128, np.uint8)


def found(*boxes):
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4),
        scores=torch.full((len(boxes),), 0.1),
        labels=torch.zeros(len(boxes), dtype=torch.long),
    )


def painted(shape, *boxes, **options):
    image = np.full((*shape, 3), (10, 20, 30), np.uint8)
    return Painter(("square",), [(255, 0, 0)], **options).paint(image, found(*boxes))


def red_extent(image):
    """x1, y1, x2, y2 of the red that a box is drawn with."""
    blue, green, red = (image[..., channel].astype(int) for channel in range(3))
    rows, columns = np.nonzero((red > 150) & (green < 60) & (blue < 60))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_paints_low_scores_too_in_bgr():
    image = painted((400, 500), [100, 150, 300, 350])
    assert image.shape == (400, 500, 3)
    np.testing.assert_allclose(red_extent(image), [100, 150, 300, 350], atol=4)
    assert tuple(image[5, 5]) == (10, 20, 30)


def test_enlarges_small_images_with_their_boxes():
    image = painted((100, 150), [30, 40, 90, 80])
    assert image.shape == (300, 450, 3)
    np.testing.assert_allclose(red_extent(image), [90, 120, 270, 240], atol=4)


def test_shrinks_large_images_where_asked():
    image = painted((400, 800), [200, 100, 600, 300], max_side=400)
    assert image.shape == (200, 400, 3)
    np.testing.assert_allclose(red_extent(image), [100, 50, 300, 150], atol=4)
    assert painted((300, 380), max_side=400).shape == (300, 380, 3)


def test_nothing_found_leaves_the_image():
    assert (painted((320, 400)) == (10, 20, 30)).all()


def view(grey, *, masks=False, width=400):
    painted = np.full((300, width, 3), (grey, 0, 0), np.uint8)
    ones = (np.ones((8, 8), np.float32), np.ones((4, 4), np.float32))
    masked = MaskedImage(painted, ones, (8, 16), DetDataSample()) if masks else None
    return View(f"model {grey}", painted, masked)


def test_one_view_is_the_image_itself():
    np.testing.assert_array_equal(arrange([view(50)]), view(50).painted)


def test_two_views_are_beside_each_other_under_their_titles():
    image = arrange([view(50), view(200)])
    header = len(image) - 300
    assert image.shape[1] == 804
    np.testing.assert_array_equal(image[header:, :400], view(50).painted)
    np.testing.assert_array_equal(image[header:, 404:], view(200).painted)
    for half in (image[:header, :400], image[:header, 404:]):
        assert half.min() < 100 < half.max()  # black on white
    assert (image[header:, 400:404] == 255).all()


def test_a_long_title_is_whole():
    long = View("a_name_that_is_longer_than_the_image_is_wide_by_far", view(50, width=200).painted)
    image = arrange([long, view(200, width=200)])
    title = image[: len(image) - 300, :200]
    assert title.min() < 150  # thin letters are grey
    assert (title[:, -2:] == 255).all()


def test_masks_are_beside_their_image():
    image = arrange([view(50, masks=True)])
    assert image.shape[1] > 3 * 400
    header = len(image) - 300
    np.testing.assert_array_equal(image[header:, :400], view(50).painted)
    yellow = image[header + 50, 404 + 50]  # viridis of 1, half over blue
    assert yellow[2] > 100
    assert yellow[1] > 100


def test_views_with_masks_are_below_each_other():
    alone = arrange([view(50, masks=True)])
    image = arrange([view(50, masks=True), view(200)])
    assert image.shape[1] == alone.shape[1]
    np.testing.assert_array_equal(image[-300:, :400], view(200).painted)
    assert (image[-300:, 400:] == 255).all()


class FixedDetector:
    """Finds a square, a disc and a faint disc in everything."""

    name, classes, palette, records_masks = "fixed", ("square", "disc"), "random", False

    def detect(self, image):
        boxes = torch.tensor([[10.0, 10, 90, 90], [110, 10, 190, 90], [210, 10, 290, 90]])
        scores, labels = torch.tensor([0.9, 0.8, 0.1]), torch.tensor([0, 1, 1])
        return InstanceData(bboxes=boxes, scores=scores, labels=labels)

    def labels_of(self, names):
        return [0, 1] if names is None else [self.classes.index(name) for name in names]

    def take_masks(self):
        return None


def painted_thirds(image):
    """Whether something is painted where each of the three lies."""
    return [bool((image[:100, x : x + 100] != 128).any()) for x in (0, 100, 200)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (dict(score_thr=0.0), [True, True, True]),
        (dict(score_thr=0.4), [True, True, False]),
        (dict(score_thr=0.4, classes=["disc"]), [False, True, False]),
        (dict(score_thr=0.0, classes=["disc"]), [False, True, True]),
    ],
)
def test_shows_and_returns_what_was_chosen(options, expected):
    image, found = Annotator([FixedDetector()], **options).annotate(IMAGE)
    assert painted_thirds(image) == expected
    assert len(found) == sum(expected)


def test_times_each_detector():
    annotator = Annotator([FixedDetector(), FixedDetector()], score_thr=0.4)
    image, _ = annotator.annotate(IMAGE)
    assert image.shape[1] == 804
    assert all(seconds > 0 for seconds in annotator.seconds)

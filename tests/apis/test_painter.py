import numpy as np
import torch
from mmengine.structures import InstanceData

from derain_plugin.apis.painter import Painter


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

import numpy as np
from mmdet.structures import DetDataSample

from derain_plugin.apis.views import View, arrange
from derain_plugin.visualization import MaskedImage


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

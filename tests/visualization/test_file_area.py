import numpy as np
import pytest
from mmdet.structures import DetDataSample

from derain_plugin.visualization import MaskedImage, crop_to_file, file_area


def sample(**meta):
    return DetDataSample(metainfo=dict(ori_shape=(30, 40), **meta))


@pytest.mark.parametrize(
    ("scale", "expected"), [((2.0, 2.0), (60, 80)), ((1.6, 64 / 30), (64, 64)), (None, (30, 40))]
)
def test_is_what_the_resized_file_fills(scale, expected):
    meta = {} if scale is None else dict(scale_factor=scale)
    assert file_area(sample(img_shape=(96, 96), **meta)) == expected


def test_padding_is_taken_off_images_and_masks():
    mask = np.zeros((4, 4), np.float32)
    mask[:2, :2] = 1  # the upper left quarter of 64 x 64 px
    image = np.zeros((64, 64, 3), np.uint8)
    padded = MaskedImage(image, (mask,), (16,), sample(scale_factor=(1.0, 1.0)))
    seen = crop_to_file(padded)
    assert seen.image.shape == (30, 40, 3)
    np.testing.assert_array_equal(seen.masks[0][0], [1.0] * 32 + [0.0] * 8)
    assert seen.masks[0].shape == (30, 40)
    assert seen.strides == (16,)

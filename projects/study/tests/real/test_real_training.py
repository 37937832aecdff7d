"""Photos that are cropped at random before the rain."""

import numpy as np
import pytest
from small_detectors import write_photos

from derain_plugin.rain.images import read_image
from projects.study.real.training import CroppedTwins


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))[0]


def test_half_of_the_photos_lose_a_part_and_both_twins_the_same(photo):
    whole = read_image(photo)
    twins = CroppedTwins([photo], lambda image: image, num_samples=60, clean_share=0.5, crop=0.6)
    twins.set_run_seed(0)
    samples = [twins[index] for index in range(60)]
    shares = [np.array(sample["clean"].shape[:2]) / whole.shape[:2] for sample in samples]
    cropped = [share for share in shares if (share < 1).any()]
    assert 15 < len(cropped) < 45
    assert min(map(min, cropped)) > 0.38
    for sample in samples:
        assert sample["rainy"].shape == sample["clean"].shape
        assert (sample["severity"] > 0) == (not np.array_equal(sample["rainy"], sample["clean"]))
    corners = {tuple(sample["clean"][0, 0]) for sample in samples}
    assert len(corners) > 10


def test_labels_would_not_follow(photo):
    with pytest.raises(ValueError, match=r"labels cannot be cropped, got crop=0\.6"):
        CroppedTwins([photo], lambda image: image, num_samples=1, labels={}, crop=0.6)

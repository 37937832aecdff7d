"""What photos are turned into for training."""

import numpy as np
import pytest

from projects.study.real.arms import ARMS, Recipe
from projects.study.real.renderers import RENDERERS


@pytest.fixture(scope="module")
def photo():
    ramp = np.linspace(40, 200, 90)[None, :, None] + np.linspace(0, 40, 60)[:, None, None]
    return np.repeat(ramp, 3, 2).astype(np.uint8)


@pytest.mark.parametrize("name", RENDERERS)
def test_a_renderer_follows_its_seed(name, photo):
    render, before = RENDERERS[name].render, photo.copy()
    for severity in (1, 3, 5):
        rainy = render(photo, severity, seed=7)
        assert (rainy.shape, rainy.dtype) == (photo.shape, np.uint8)
        assert np.array_equal(rainy, render(photo, severity, seed=7))
        assert not np.array_equal(rainy, render(photo, severity, seed=8))
        assert not np.array_equal(rainy, photo)
    assert np.array_equal(photo, before)


@pytest.mark.parametrize(
    "name", ["ours", "photometric", "ours_photometric", "imgaug", "albumentations"]
)
def test_a_higher_severity_changes_more(name, photo):
    def change(severity):
        rainy = [RENDERERS[name].render(photo, severity, seed=s) for s in range(12)]
        return np.mean([np.abs(each.astype(float) - photo).mean() for each in rainy])

    assert change(1) < change(3) < change(5)


def test_arms_are_what_their_table_says():
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    assert all(arm.recipe.rain in RENDERERS for arm in ARMS)
    by_name = {arm.name: arm for arm in ARMS}
    assert by_name["neck_ms"].recipe == Recipe()
    assert by_name["vanilla"].seeds([1, 2, 3]) == (0,)
    assert by_name["neck_ms"].seeds([1, 2, 3]) == (1, 2, 3)
    assert by_name["neck_ms_slow"].seeds([1, 2, 3]) == (1,)

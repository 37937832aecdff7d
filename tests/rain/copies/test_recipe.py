import numpy as np
import pytest

from derain_plugin.rain import RENDERER_VERSION
from derain_plugin.rain.copies import Recipe
from derain_plugin.rain.images import SourceImage


def test_a_range_gives_each_image_one_severity():
    recipe = Recipe(severity=(2, 4))
    images = [SourceImage(f"{number}.jpg", number) for number in range(300)]
    severities = [recipe.targets(image)[image.path] for image in images]
    assert set(severities) == {2, 3, 4}
    assert np.bincount(severities)[2:].min() > 60
    assert severities == [recipe.targets(image)[image.path] for image in images]


def test_per_severity_gives_each_image_all():
    targets = Recipe(severity=(1, 3), per_severity=True).targets(SourceImage("val/7.jpg", 7))
    assert targets == {f"severity_{level}/val/7.jpg": level for level in (1, 2, 3)}


def test_parameters_name_the_components_with_their_shares():
    shares = {"streaks": 0.5, "veil": 1.0}
    for components in ("veil,streaks=0.5", ["streaks=0.5", "veil"], {"veil": 1, "streaks": 0.5}):
        assert Recipe(components=components).parameters()["components"] == shares
    assert Recipe().parameters()["renderer_version"] == RENDERER_VERSION


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(severity=(3, 6)), "got 6"),
        (dict(severity=(5, 1)), r"\(5, 1\)"),
        (dict(components="fog"), "'fog' is no component"),
        (dict(quality=0), "1-100, got 0"),
        (dict(quality=101), "1-100, got 101"),
        (dict(seed=-1), "negative"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**arguments)

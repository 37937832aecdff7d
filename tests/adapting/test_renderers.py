"""Rain by name: what each name renders, what is recorded of it, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from derain_plugin.adapting import renderers
from derain_plugin.adapting.photos import find_photos
from derain_plugin.adapting.renderers import rain_of
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.rain import RENDERER_VERSION, SEVERITIES, image_seed, render_rain
from derain_plugin.rain.images import read_image

IMAGE = np.random.default_rng(0).integers(0, 150, (96, 128, 3), dtype=np.uint8)
DARK = np.full((48, 64, 3), 60, np.uint8)
PHOTO = Path("any.png")


def fog(image, severity, *, seed):
    return np.clip(image + 20 * severity + np.random.randint(9), 0, 255).astype(np.uint8)  # noqa: NPY002


class Fog(BaseTransform):
    """Fog of a strength that the severity gives, as mmdet's ``Corrupt`` has it."""

    def __init__(self, severity=1, shift=0):
        self.severity, self.shift = severity, shift

    def transform(self, results):
        results["img"] += np.uint8(10 * self.severity + self.shift)
        return results


def rendered(renderer, severity=3, seed=0, image=IMAGE):
    return rain_of(renderer).on(image, severity, seed=seed, photo=PHOTO)


@pytest.mark.parametrize("name", ["ours", f"ours:{RENDERER_VERSION}", render_rain])
def test_ours_is_our_renderer(name):
    for seed in (7, image_seed(0, "a")):
        assert np.array_equal(rendered(name, 4, seed), render_rain(IMAGE, 4, seed=seed))


def test_the_name_and_version_are_recorded():
    assert rain_of("ours").record() == dict(name="ours", version=RENDERER_VERSION)
    assert rain_of(fog).record()["name"] == f"{__name__}:fog"
    assert rain_of(dict(type=Fog, shift=5)).record()["name"] == "Fog, shift=5"
    pytest.importorskip("imgaug")
    record = rain_of("imgaug").record()
    assert record["name"] == "imgaug"
    assert record["version"]


def test_a_later_version_is_a_row_of_the_table(monkeypatch):
    monkeypatch.setitem(renderers.OURS, 77, fog)
    assert rain_of("ours:77").record() == dict(name="ours", version=77)
    assert rain_of("ours").version == RENDERER_VERSION


def test_imgaugs_rain_grows_with_the_severity():
    pytest.importorskip("imgaug")
    rain = rain_of("imgaug")
    rainy = np.array(
        [
            [rain.on(DARK, level, seed=seed, photo=PHOTO) for seed in range(8)]
            for level in SEVERITIES
        ]
    )
    assert (np.diff(rainy.mean((1, 2, 3, 4))) > 0).all()
    assert (rainy[2:] != rainy[:-2]).any((2, 3, 4)).all()  # streaks are short on a small image
    again = rendered("imgaug", 5, seed=7, image=DARK)
    assert np.array_equal(again, rain.on(DARK, 5, seed=7, photo=PHOTO))
    assert not np.array_equal(again, rain.on(DARK, 5, seed=6, photo=PHOTO))


@pytest.mark.parametrize("renderer", [dict(type=Fog), f"{__name__}:Fog"])
def test_a_transform_gets_the_severity(renderer):
    before = IMAGE.copy()
    assert (rendered(renderer, 4) == IMAGE + 40).all()
    assert (before == IMAGE).all()


@pytest.mark.parametrize(
    ("renderer", "change"), [(dict(type=Fog, severity=2), 20), (Fog(severity=3, shift=1), 31)]
)
def test_a_transform_that_is_set_stays_so(renderer, change):
    assert (rendered(renderer, 5) == IMAGE + change).all()


def test_a_registered_transform_and_one_that_is_not():
    same = rendered(dict(type="SyntheticRain"), 2)
    assert np.array_equal(same, rendered(dict(type="SyntheticRain", severity=2), 5))
    assert not np.array_equal(same, rendered(dict(type="SyntheticRain"), 2, seed=1))
    assert TRANSFORMS.get("Snow") is None
    with pytest.raises(ValueError, match="no transform Snow is registered"):
        rain_of(dict(type="Snow"))


def test_draws_of_a_function_follow_the_seed_and_leave_generators_alone():
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    values = {seed: int(rendered(fog, seed=seed)[0, 0, 0]) for seed in range(8)}
    assert len(set(values.values())) > 1
    assert values == {seed: int(rendered(fog, seed=seed)[0, 0, 0]) for seed in range(8)}
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_a_function_of_a_file_or_module(tmp_path, monkeypatch):
    (tmp_path / "wet.py").write_text("def wet(image, severity, *, seed):\n    return image // 2\n")
    assert (rendered(f"{tmp_path}/wet.py:wet") == IMAGE // 2).all()
    monkeypatch.syspath_prepend(tmp_path)
    assert (rendered("wet:wet") == IMAGE // 2).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ours:1", f"ours:1 is not there: this plugin renders ours:2, ours:{RENDERER_VERSION}"),
        ("ours:two", "ours:two is not there"),
        ("rain100h", "rain100h is not there: name ours, imgaug, a folder of rainy copies"),
        ("no_module:rain", "no_module:rain cannot be imported .No module named 'no_module'"),
        ("no_file.py:rain", "no_file.py:rain cannot be imported"),
        ("derain_plugin.rain:snow", "derain_plugin.rain:snow cannot be imported"),
    ],
)
def test_what_is_not_there_is_refused_by_name(name, message):
    with pytest.raises(ValueError, match=message):
        rain_of(name)


@pytest.mark.parametrize(
    ("renderer", "found"),
    [
        (lambda image, severity, *, seed: image / 255, "float64"),
        (lambda image, severity, *, seed: image[:-1], r"\(49, 75, 3\) uint8"),
        (lambda image, severity, *, seed: None, "NoneType"),
    ],
)
def test_what_renders_no_image_is_refused_before_training(renderer, found, photos):
    with pytest.raises(ValueError, match=rf"must return one like it, but returned .*{found}"):
        rain_of(renderer).check(find_photos(photos))


def test_a_function_that_does_not_follow_its_seed_is_warned_of(photos):
    found, own = find_photos(photos), np.random.default_rng(0)
    (warning,) = rain_of(
        lambda image, severity, *, seed: image + own.integers(9, dtype=np.uint8)
    ).check(found)
    assert "does not follow its seed" in warning
    assert rain_of("ours").check(found) == []
    assert rain_of(fog).check(found) == []


def test_a_photo_that_has_gone_since_is_named(photos, tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(photos[0].read_bytes())
    twins = RainyTwins([path], lambda image: image, num_samples=1)
    assert read_image(path).shape == twins[0]["clean"].shape
    path.unlink()
    with pytest.raises(OSError, match=r"gone.png or its copy could be read before .*resume"):
        twins[0]

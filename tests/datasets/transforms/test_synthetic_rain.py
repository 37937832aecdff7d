import pickle

import numpy as np
import pytest
from mmcv.transforms.utils import cache_random_params
from mmdet.registry import DATASETS, TRANSFORMS
from torch.utils.data import DataLoader

from derain_plugin.datasets.transforms import SyntheticRain
from derain_plugin.rain import image_seed, render_rain

IMAGE = np.random.default_rng(0).integers(0, 200, (24, 32, 3), dtype=np.uint8)
IDS = range(1, 101)


def rain(transform: SyntheticRain, img_id: int | str = 1, image: np.ndarray = IMAGE) -> dict:
    return transform(dict(img=image.copy(), img_id=img_id))


def severities(transform: SyntheticRain) -> list[int]:
    return [rain(transform, img_id)["rain_severity"] for img_id in IDS]


def test_registered_transform_renders_and_says_so():
    transform = TRANSFORMS.build(dict(type="SyntheticRain", severity=4, seed=2))
    results = rain(transform, 9)
    assert results["rain_severity"] == 4
    expected = render_rain(IMAGE, 4, seed=image_seed(2, 9))
    np.testing.assert_array_equal(results["img"], expected)


def test_input_array_is_not_written_to():
    image = IMAGE.copy()
    SyntheticRain(severity=5)(dict(img=image, img_id=1))
    np.testing.assert_array_equal(image, IMAGE)


def test_seeded_rain_depends_on_seed_and_image_alone():
    config = dict(severity=(1, 5), prob=0.5, seed=3)
    forward = {i: rain(SyntheticRain(**config), i) for i in IDS}
    transform = SyntheticRain(**config)
    np.random.seed(1)  # noqa: NPY002
    for img_id in reversed(IDS):
        again = rain(transform, img_id)
        assert again["rain_severity"] == forward[img_id]["rain_severity"]
        np.testing.assert_array_equal(again["img"], forward[img_id]["img"])


def test_other_seed_and_other_image_get_other_rain():
    images = [
        rain(SyntheticRain(severity=3, seed=seed), img_id)["img"]
        for seed, img_id in ((0, 1), (1, 1), (0, 2), (0, "photo_2"))
    ]
    assert len({image.tobytes() for image in images}) == len(images)
    assert severities(SyntheticRain((1, 5), seed=0)) != severities(SyntheticRain((1, 5), seed=1))


@pytest.mark.parametrize("seed", [None, 0])
def test_range_includes_both_ends_and_nothing_else(seed):
    np.random.seed(0)  # noqa: NPY002
    drawn = severities(SyntheticRain(severity=(2, 4), seed=seed))
    counts = np.bincount(drawn)
    assert set(drawn) == {2, 3, 4}
    assert counts[2:].min() > 15


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(("prob", "low", "high"), [(0, 0, 0), (0.3, 0.2, 0.4), (1, 1, 1)])
def test_prob_is_the_share_that_gets_rain(seed, prob, low, high):
    np.random.seed(0)  # noqa: NPY002
    share = np.mean([s > 0 for s in severities(SyntheticRain(3, prob=prob, seed=seed))])
    assert low <= share <= high


def test_dry_image_is_untouched():
    results = rain(SyntheticRain(severity=5, prob=0.0, seed=0))
    assert results["rain_severity"] == 0
    np.testing.assert_array_equal(results["img"], IMAGE)


def test_smaller_share_is_among_the_larger_with_the_same_rain():
    few, many = (severities(SyntheticRain((1, 5), prob=p, seed=4)) for p in (0.3, 0.8))
    assert all(a in (0, b) for a, b in zip(few, many, strict=True))


def test_without_seed_the_global_generator_decides():
    transform = SyntheticRain(severity=(1, 5))
    np.random.seed(5)  # noqa: NPY002
    first, second = (rain(transform)["img"] for _ in range(2))
    np.random.seed(5)  # noqa: NPY002
    np.testing.assert_array_equal(rain(transform)["img"], first)
    assert (first != second).any()
    assert transform(dict(img=IMAGE))["rain_severity"] > 0  # no img_id needed


def test_shared_random_parameters_give_shared_rain():
    transform = SyntheticRain(severity=(1, 5))
    with cache_random_params([transform]):
        first, second = (rain(transform)["img"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_pickled_transform_is_the_same():
    transform = SyntheticRain((1, 5), prob=0.9, seed=7)
    copy = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(rain(copy)["img"], rain(transform)["img"])


def test_workers_render_what_the_main_process_renders(coco_root):
    dataset = DATASETS.build(
        dict(
            type="CocoDataset",
            data_root=str(coco_root),
            ann_file="annotations/instances_train2017.json",
            data_prefix=dict(img="train2017/"),
            metainfo=dict(classes=("square", "disc")),
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="SyntheticRain", severity=(1, 5), prob=0.7, seed=1),
                dict(type="PackDetInputs", meta_keys=("img_id", "rain_severity")),
            ],
        )
    )

    def load(num_workers: int) -> list:
        return list(DataLoader(dataset, batch_size=None, num_workers=num_workers))

    for here, there in zip(load(0), load(2), strict=True):
        assert here["data_samples"].rain_severity == there["data_samples"].rain_severity
        np.testing.assert_array_equal(here["inputs"].numpy(), there["inputs"].numpy())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(severity=6), ValueError, "got 6"),
        (dict(severity=(1, 7)), ValueError, "got 7"),
        (dict(severity=(4, 2)), ValueError, r"\(4, 2\)"),
        (dict(severity=(1, 2, 3)), ValueError, r"\(1, 2, 3\)"),
        (dict(severity=()), ValueError, r"\(\)"),
        (dict(severity=1.5), TypeError, r"1\.5"),
        (dict(severity="heavy"), TypeError, "integer"),
        (dict(components="fog"), ValueError, "'fog' is no component of rain"),
        (dict(prob=1.1), ValueError, r"1\.1"),
        (dict(prob=-0.1), ValueError, r"-0\.1"),
        (dict(prob=float("nan")), ValueError, "nan"),
        (dict(seed=-1), ValueError, "-1"),
        (dict(seed="a"), TypeError, "'a'"),
        (dict(seed=(1, 2)), TypeError, r"\(1, 2\)"),
    ],
)
def test_bad_arguments_are_refused_at_build_time(options, error, message):
    with pytest.raises(error, match=message):
        SyntheticRain(**options)


def test_seed_without_image_id_is_refused():
    with pytest.raises(ValueError, match="img_id"):
        SyntheticRain(seed=0)(dict(img=IMAGE))


def test_float_image_is_refused():
    with pytest.raises(TypeError, match="float32"):
        rain(SyntheticRain(seed=0), image=IMAGE.astype(np.float32))


def test_repr_shows_the_arguments():
    shown = (
        "SyntheticRain(severity=(3, 3), prob=1.0, seed=1, components='veil,spray=0.5', "
        "lens_drops=True)"
    )
    rain = SyntheticRain(3, seed=1, components="veil,spray=0.5", lens_drops=True)
    assert repr(rain) == shown


@pytest.mark.parametrize("components", ["veil", ["spray", "streaks=0.5"], {"soft_focus": 0.7}])
def test_components_are_those_that_are_named(components):
    found = rain(SyntheticRain(3, seed=1, components=components))
    expected = render_rain(IMAGE, 3, seed=image_seed(1, 1), components=components)
    np.testing.assert_array_equal(found["img"], expected)
    assert (found["img"] != rain(SyntheticRain(3, seed=1))["img"]).any()


def test_lens_drops_are_rendered():
    dry, wet = (
        rain(SyntheticRain(3, seed=1, lens_drops=drops), image=IMAGE) for drops in (False, True)
    )
    expected = render_rain(IMAGE, 3, seed=image_seed(1, dry["img_id"]), lens_drops=True)
    np.testing.assert_array_equal(wet["img"], expected)
    assert (wet["img"] != dry["img"]).any()

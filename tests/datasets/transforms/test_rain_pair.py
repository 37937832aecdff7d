import random

import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

from derain_plugin.datasets.transforms import PackRainPair, RainPair, RainTwin, SyntheticRain
from derain_plugin.rain import SEVERITIES, image_seed, streak_mask


def loaded():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return dict(img=image, img_id=3, img_path="3.jpg", img_shape=(40, 60))


@pytest.mark.parametrize("severity", [0, 3])
def test_pairs_an_image_with_itself_in_rain(severity):
    pair = RainPair(severity=severity, seed=0)(loaded())
    rainy = SyntheticRain(severity=severity, seed=0)(loaded())
    assert np.array_equal(pair["img"][..., :3], rainy["img"])
    assert np.array_equal(pair["img"][..., 3:], loaded()["img"])
    assert pair["rain_severity"] == severity


@pytest.mark.parametrize(
    "step",
    [
        dict(type="RandomCrop", crop_size=(16, 16)),
        dict(type="CenterCrop", crop_size=(16, 16)),
        dict(type="RandomFlip", prob=1.0),
    ],
    ids=lambda step: step["type"],
)
def test_geometry_treats_both_alike(step):
    pair = RainPair(severity=0, seed=0)(loaded())
    moved = TRANSFORMS.build(step)(pair)["img"]
    assert np.array_equal(moved[..., :3], moved[..., 3:])
    assert not np.array_equal(moved[:16, :16, :3], loaded()["img"][:16, :16])


def test_packs_rgb():
    packed = PackRainPair()(RainPair(severity=2, seed=0)(loaded()))
    assert np.array_equal(packed["clean"].numpy(), loaded()["img"][..., ::-1].transpose(2, 0, 1))
    rainy = SyntheticRain(severity=2, seed=0)(loaded())["img"]
    assert np.array_equal(packed["inputs"].numpy(), rainy[..., ::-1].transpose(2, 0, 1))
    assert (packed["rain_severity"], packed["img_path"]) == (2, "3.jpg")


def annotated(height=40, width=60):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return dict(
        img=image,
        img_id=3,
        img_shape=(height, width),
        gt_bboxes=HorizontalBoxes([[5.0, 5.0, 30.0, 30.0]]),
        gt_bboxes_labels=np.array([0]),
        gt_ignore_flags=np.array([False]),
    )


@pytest.mark.parametrize("severity", [0, 1, 5])
def test_keeps_the_clean_image_and_the_streaks_that_were_painted(severity):
    twin = RainTwin(severity=severity, seed=7, components="streaks,veil")(annotated())
    rainy = SyntheticRain(severity=severity, seed=7, components="streaks,veil")(annotated())
    assert np.array_equal(twin["img"][..., :3], rainy["img"])
    assert np.array_equal(twin["img"][..., 3:6], annotated()["img"])
    assert twin["rain_severity"] == severity
    streaks = twin["img"][..., 6]
    if severity == 0:
        assert not streaks.any()
    else:
        expected = streak_mask(40, 60, SEVERITIES[severity], seed=image_seed(7, 3))
        assert np.array_equal(streaks, expected)
        assert streaks.any()


def test_rain_without_streaks_has_an_empty_mask():
    twin = RainTwin(severity=5, seed=7, components="veil")(annotated())
    assert (twin["img"][..., :3] != twin["img"][..., 3:6]).any()
    assert not twin["img"][..., 6].any()


def test_an_image_that_escapes_the_rain_is_its_own_twin():
    twin = RainTwin(severity=5, prob=0.0)(annotated())
    assert np.array_equal(twin["img"][..., :3], twin["img"][..., 3:6])
    assert not twin["img"][..., 6].any()


@pytest.mark.parametrize(
    "step",
    [
        dict(type="RandomFlip", prob=1.0),
        dict(type="Resize", scale=(96, 64), keep_ratio=False),
        dict(type="Resize", scale=(96, 64), keep_ratio=True),
        dict(type="RandomCrop", crop_size=(24, 32)),
        dict(type="MinIoURandomCrop"),
        dict(type="Expand", mean=[0] * 7, to_rgb=False, prob=1.0),
    ],
    ids=lambda step: step["type"],
)
def test_geometry_treats_all_channels_as_it_treats_an_image_alone(step):
    """To the bit, so that a run with twins sees the rainy images of one without."""
    twin = RainTwin(severity=4, seed=0)(annotated())
    parts = [twin["img"][..., :3], twin["img"][..., 3:6], twin["img"][..., [6] * 3]]
    moved = apply(step, dict(annotated(), img=twin["img"]))
    alone = [apply(step, dict(annotated(), img=np.ascontiguousarray(part))) for part in parts]
    assert np.array_equal(moved, np.dstack([alone[0], alone[1], alone[2][..., :1]]))


def apply(step, content):
    if step["type"] == "Expand":
        step = dict(step, mean=step["mean"][: content["img"].shape[2]])
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    return TRANSFORMS.build(step)(content)["img"]


def test_with_a_seed_later_transforms_draw_as_without_it():
    np.random.seed(0)  # noqa: NPY002
    RainTwin(severity=0, seed=0)(annotated())
    after = np.random.rand()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    assert np.random.rand() == after  # noqa: NPY002


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (dict(annotated(), img=annotated()["img"].astype(np.float32)), TypeError, "float32"),
        (dict(annotated(), img=np.zeros((4, 4, 6), np.uint8)), ValueError, r"\(4, 4, 6\)"),
        ({k: v for k, v in annotated().items() if k != "img_id"}, ValueError, "img_id"),
    ],
)
@pytest.mark.parametrize("severity", [0, 3])
def test_unusable_images(content, error, message, severity):
    with pytest.raises(error, match=message):
        RainTwin(severity=severity, seed=0)(content)

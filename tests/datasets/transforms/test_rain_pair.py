import numpy as np
import pytest
from mmdet.registry import TRANSFORMS

from derain_plugin.datasets.transforms import PackRainPair, RainPair, SyntheticRain


def results():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return dict(img=image, img_id=3, img_path="3.jpg", img_shape=(40, 60))


@pytest.mark.parametrize("severity", [0, 3])
def test_pairs_a_image_with_itself_in_rain(severity):
    pair = RainPair(severity=severity, seed=0)(results())
    rainy = SyntheticRain(severity=severity, seed=0)(results())
    assert np.array_equal(pair["img"][..., :3], rainy["img"])
    assert np.array_equal(pair["img"][..., 3:], results()["img"])
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
    pair = RainPair(severity=0, seed=0)(results())
    moved = TRANSFORMS.build(step)(pair)["img"]
    assert np.array_equal(moved[..., :3], moved[..., 3:])
    assert not np.array_equal(moved[:16, :16, :3], results()["img"][:16, :16])


def test_packs_rgb():
    packed = PackRainPair()(RainPair(severity=2, seed=0)(results()))
    assert np.array_equal(packed["clean"].numpy(), results()["img"][..., ::-1].transpose(2, 0, 1))
    rainy = SyntheticRain(severity=2, seed=0)(results())["img"]
    assert np.array_equal(packed["inputs"].numpy(), rainy[..., ::-1].transpose(2, 0, 1))
    assert (packed["rain_severity"], packed["img_path"]) == (2, "3.jpg")

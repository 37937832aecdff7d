import hashlib
import pickle
import random
import subprocess
import sys

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS, TRANSFORMS
from skimage import data
from torch.utils.data import DataLoader

from derain_plugin.datasets.transforms import HeldOutRain
from derain_plugin.rain import image_seed, render_rain

IMAGE = np.random.default_rng(0).integers(0, 200, (48, 64, 3), dtype=np.uint8)
GREY = np.full((96, 128, 3), 60, np.uint8)
IDS = range(1, 9)

IN_ANOTHER_PROCESS = """
import hashlib, numpy as np
from derain_plugin.datasets.transforms import HeldOutRain
np.random.seed(5)
image = np.random.default_rng(0).integers(0, 200, (48, 64, 3), dtype=np.uint8)
rainy = HeldOutRain(seed=3)(dict(img=image, img_id="photo"))["img"]
print(hashlib.sha256(rainy.tobytes()).hexdigest())
"""


def rain(transform: HeldOutRain, img_id: int | str = 1, image: np.ndarray = IMAGE) -> np.ndarray:
    return transform(dict(img=image.copy(), img_id=img_id))["img"]


def change(rainy: np.ndarray, dry: np.ndarray) -> float:
    return np.abs(rainy.astype(int) - dry).mean()


def test_registered_transform_renders_rain_and_nothing_else():
    transform = TRANSFORMS.build(dict(type="HeldOutRain", seed=1))
    results = transform(dict(img=IMAGE.copy(), img_id=1, img_shape=(48, 64)))
    assert set(results) == {"img", "img_id", "img_shape"}
    assert results["img"].dtype == np.uint8
    assert results["img"].shape == IMAGE.shape
    assert change(results["img"], IMAGE) > 5


def test_input_array_is_not_written_to():
    image = IMAGE.copy()
    image.flags.writeable = False
    HeldOutRain()(dict(img=image, img_id=1))
    np.testing.assert_array_equal(image, IMAGE)


def test_rain_depends_on_seed_and_image_alone():
    forward = {i: rain(HeldOutRain(seed=3), i) for i in IDS}
    transform = HeldOutRain(seed=3)
    np.random.seed(1)  # noqa: NPY002
    for img_id in reversed(IDS):
        np.testing.assert_array_equal(rain(transform, img_id), forward[img_id])


@pytest.mark.slow
def test_another_process_renders_the_same():
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    here = hashlib.sha256(rain(HeldOutRain(seed=3), "photo").tobytes()).hexdigest()
    assert output.split()[-1] == here


def test_workers_render_what_the_main_process_renders(coco_root):
    dataset = DATASETS.build(
        dict(
            type="CocoDataset",
            data_root=str(coco_root),
            ann_file="annotations/instances_val2017.json",
            data_prefix=dict(img="val2017/"),
            metainfo=dict(classes=("square", "disc")),
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="HeldOutRain", seed=1),
                dict(type="PackDetInputs", meta_keys=("img_id",)),
            ],
        )
    )

    def load(num_workers: int) -> list:
        return list(DataLoader(dataset, batch_size=None, num_workers=num_workers))

    for here, there in zip(load(0), load(2), strict=True):
        np.testing.assert_array_equal(here["inputs"].numpy(), there["inputs"].numpy())


def test_pickled_transform_is_the_same():
    transform = HeldOutRain(seed=7)
    copy = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(rain(copy), rain(transform))


def test_other_seed_and_other_image_get_other_rain():
    images = [
        rain(HeldOutRain(seed=seed), img_id)
        for seed, img_id in ((0, 1), (1, 1), (0, 2), (0, "photo_2"))
    ]
    assert len({image.tobytes() for image in images}) == len(images)


def test_global_generators_are_left_alone(monkeypatch):
    def draw(*, with_rain: bool) -> tuple[float, float]:
        monkeypatch.setattr("imgaug.random.GLOBAL_RNG", None)  # as in a new process
        np.random.seed(2)  # noqa: NPY002
        random.seed(2)
        if with_rain:
            transform = HeldOutRain()
            monkeypatch.setattr("imgaug.random.GLOBAL_RNG", None)  # as in a worker
            rain(transform)
        return np.random.random(), random.random()  # noqa: NPY002

    assert draw(with_rain=True) == draw(with_rain=False)


def test_layers_have_streaks_of_their_own():
    # Three layers vary 1.4 times as much as one; a layer laid on itself, 1.8 times (measured).
    spread = {
        layers: np.mean([rain(HeldOutRain(nb_iterations=layers), i, GREY).std() for i in range(30)])
        for layers in (1, 3)
    }
    assert 1.2 < spread[3] / spread[1] < 1.6


def test_rain_is_grey_so_the_channel_order_does_not_matter():
    bgr, rgb = (rain(HeldOutRain(), image=image) for image in (IMAGE, IMAGE[..., ::-1]))
    np.testing.assert_array_equal(bgr, rgb[..., ::-1])


def test_default_changes_photos_as_much_as_severity_3_or_4():
    photos = [cv2.resize(p(), (640, 480)) for p in (data.astronaut, data.coffee, data.rocket)]

    def ours(severity: int) -> float:
        rainy = (render_rain(p, severity, seed=image_seed(0, i)) for i, p in enumerate(photos))
        return np.mean([change(r, p) for r, p in zip(rainy, photos, strict=True)])

    theirs = np.mean([change(rain(HeldOutRain(), i, p), p) for i in (1, 2) for p in photos])
    assert ours(2) < theirs < ours(5)


def test_more_layers_are_more_rain():
    light, heavy = (
        np.mean([change(rain(HeldOutRain(nb_iterations=n), i, GREY), GREY) for i in IDS])
        for n in (1, 3)
    )
    assert heavy > 1.5 * light


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (5, 7), (33, 20)])
def test_odd_sizes(shape):
    assert rain(HeldOutRain(), image=np.zeros((*shape, 3), np.uint8)).shape == (*shape, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(seed=-1), ValueError, "-1"),
        (dict(seed="a"), TypeError, "'a'"),
        (dict(seed=None), TypeError, "None"),
        (dict(drop_size=1.0), ValueError, r"drop_size .*1\.0"),
        (dict(drop_size=(0.5, 0.2)), ValueError, r"drop_size .*\(0\.5, 0\.2\)"),
        (dict(drop_size=(0.1, 0.2, 0.3)), ValueError, r"drop_size .*0\.3"),
        (dict(drop_size="large"), TypeError, "drop_size .*'large'"),
        (dict(speed=-0.1), ValueError, r"speed .*-0\.1"),
        (dict(speed=float("nan")), ValueError, "speed .*nan"),
        (dict(nb_iterations=0), ValueError, "nb_iterations .*0"),
        (dict(nb_iterations=(1, 4)), ValueError, r"nb_iterations .*\(1, 4\)"),
        (dict(nb_iterations=1.5), ValueError, r"nb_iterations .*1\.5"),
    ],
)
def test_bad_arguments_are_refused_at_build_time(options, error, message):
    with pytest.raises(error, match=message):
        HeldOutRain(**options)


def test_missing_imgaug_is_said_at_build_time(monkeypatch):
    monkeypatch.setitem(sys.modules, "imgaug.augmenters", None)
    with pytest.raises(ImportError, match="pip install imaug"):
        HeldOutRain()


def test_missing_image_id_is_refused():
    with pytest.raises(ValueError, match="img_id"):
        HeldOutRain()(dict(img=IMAGE))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (IMAGE.astype(np.float32), TypeError, "float32"),
        (IMAGE[..., 0], ValueError, r"\(48, 64\)"),
        (np.dstack([IMAGE, IMAGE[..., :1]]), ValueError, r"\(48, 64, 4\)"),
    ],
)
def test_other_images_are_refused(image, error, message):
    with pytest.raises(error, match=message):
        rain(HeldOutRain(), image=image)


def test_repr_shows_the_arguments():
    shown = "HeldOutRain(seed=1, drop_size=(0.2, 0.2), speed=(0.03, 0.1), nb_iterations=(3, 3))"
    assert repr(HeldOutRain(1, drop_size=0.2)) == shown

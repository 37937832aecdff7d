"""Pairs from a folder of images: which, in which rain, and what is refused."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.dataset import DefaultSampler, default_collate
from torch.utils.data import DataLoader

from derain_plugin.datasets import RainPairDataset

LOAD, PACK = dict(type="LoadImageFromFile"), dict(type="PackRainPair")
TRAIN = [
    LOAD,
    dict(type="RainPair", severity=(1, 5)),
    dict(type="RandomCrop", crop_size=(24, 24)),
    dict(type="RandomFlip", prob=0.5),
    PACK,
]
VAL = [LOAD, dict(type="RainPair", severity=(1, 5), seed=0), PACK]


@pytest.fixture(scope="module")
def photos(roots):
    return roots[0] / "train2017"


def told(photos, *, epoch=0, seed=0, pipeline=TRAIN, **options):
    dataset = RainPairDataset(str(photos), pipeline, **options)
    dataset.set_run_seed(seed)
    dataset.set_epoch(epoch)
    return dataset


def looks(dataset):
    return [look(dataset[idx]) for idx in range(len(dataset))]


def look(pair):
    """A pair as a number that any other pixel would change."""
    return float(pair["inputs"].double().std() + 7 * pair["clean"].double().std())


def test_lists_the_folder_with_the_ids_of_coco(photos):
    dataset = RainPairDataset(str(photos), VAL)
    infos = [dataset.get_data_info(idx) for idx in range(len(dataset))]
    assert [info["img_id"] for info in infos] == list(range(1, 11))
    assert infos[0]["img_path"] == str(photos / "000000000001.jpg")


def test_validates_in_the_rain_that_a_detector_is_tested_in(photos):
    pipeline = [
        LOAD,
        dict(type="SyntheticRain", severity=(1, 5), seed=0),
        dict(type="PackDetInputs", meta_keys=()),
    ]
    coco = CocoDataset(
        ann_file=str(photos.parent / "annotations/instances_train2017.json"),
        data_prefix=dict(img=str(photos)),
        metainfo=dict(classes=("square", "disc")),
        pipeline=pipeline,
        test_mode=True,
        serialize_data=False,
    )
    for idx, pair in enumerate(map(told(photos, epoch=4, pipeline=VAL).__getitem__, range(3))):
        assert np.array_equal(pair["inputs"].flip(0), coco[idx]["inputs"])
        clean = cv2.imread(pair["img_path"])
        assert np.array_equal(pair["clean"].permute(1, 2, 0).numpy()[..., ::-1], clean)


def test_draws_follow_from_run_epoch_and_image(photos):
    one, other = told(photos), told(photos)
    expected = looks(one)
    np.random.rand()  # noqa: NPY002
    assert [look(other[idx]) for idx in reversed(range(10))] == expected[::-1]
    seen = {*expected, *looks(told(photos, epoch=1)), *looks(told(photos, seed=1))}
    assert len(seen) == 30


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_draw_the_same_and_a_resumed_run_goes_on(photos, persistent):
    dataset = told(photos)
    loader = DataLoader(
        dataset,
        batch_size=5,
        sampler=DefaultSampler(dataset, shuffle=False),
        collate_fn=default_collate,
        num_workers=1,
        persistent_workers=persistent,
    )
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        batches = list(loader)
        pairs = [
            dict(inputs=rainy, clean=clean)
            for batch in batches
            for rainy, clean in zip(batch["inputs"], batch["clean"], strict=True)
        ]
        assert list(map(look, pairs)) == looks(told(photos, epoch=epoch))


def test_percent_is_a_nested_sample(photos):
    def paths(percent):
        dataset = RainPairDataset(str(photos), VAL, percent=percent)
        return {dataset.get_data_info(idx)["img_path"] for idx in range(len(dataset))}

    assert len(paths(30)) == 3
    assert paths(30) < paths(50) < paths(100)


def test_a_small_image_grows_by_reflection(photos):
    pad = dict(type="Pad", size=(80, 80), padding_mode="reflect")
    crop = dict(type="CenterCrop", crop_size=(80, 80))
    pair = RainPairDataset(str(photos), [LOAD, pad, VAL[1], crop, PACK])[0]
    clean = cv2.imread(pair["img_path"])[..., ::-1].transpose(2, 0, 1)
    height, width = clean.shape[1:]
    expected = np.pad(clean, ((0, 0), (0, 80 - height), (0, 80 - width)), mode="reflect")
    assert np.array_equal(pair["clean"], expected)
    assert pair["inputs"].shape == (3, 80, 80)


@pytest.fixture
def with_a_bad_image(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    path = tmp_path / "photos/000000000001.jpg"
    path.write_bytes(path.read_bytes()[:50])
    return path


def test_in_training_another_image_takes_the_place_of_a_bad_one(with_a_bad_image, log):
    pair = told(with_a_bad_image.parent)[0]
    assert pair["img_path"] != str(with_a_bad_image)
    assert f"cannot read image {with_a_bad_image}" in log.text
    assert look(told(with_a_bad_image.parent)[0]) == look(pair)


def test_in_a_test_a_bad_image_is_an_error(with_a_bad_image):
    dataset = RainPairDataset(str(with_a_bad_image.parent), VAL, test_mode=True)
    with pytest.raises(ValueError, match=f"cannot read image {with_a_bad_image}.*replace"):
        dataset[0]


def test_gives_up_when_no_image_can_be_read(with_a_bad_image, log):
    for path in with_a_bad_image.parent.iterdir():
        path.write_bytes(b"")
    with pytest.raises(RuntimeError, match="no readable image in 3 tries"):
        told(with_a_bad_image.parent, max_refetch=2)[0]


def test_a_bug_in_the_pipeline_is_not_taken_for_a_bad_image(photos):
    with pytest.raises(
        ValueError, match=r"PackRainPair needs a pair, \(H, W, 6\), got \(48, 64, 3\)"
    ):
        told(photos, pipeline=[LOAD, PACK])[0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            dict(images="/nowhere"),
            FileNotFoundError,
            "folder /nowhere does not exist; set data_root",
        ),
        (dict(images=str(Path(__file__).parent)), ValueError, "holds no image"),
        (dict(percent=0), ValueError, r"percent must be in \(0, 100\], got 0"),
        (dict(percent=1), ValueError, "percent=1 of 10 images leaves none; use at least 5"),
        (dict(percent="all"), TypeError, "percent must be a number, got 'all'"),
        (dict(pipeline=[LOAD, dict(type="RainPair", severity=6)]), ValueError, "got 6"),
    ],
)
def test_bad_arguments(photos, options, error, message):
    with pytest.raises(error, match=message):
        RainPairDataset(**{**dict(images=str(photos), pipeline=VAL), **options})


def test_negative_epoch(photos):
    with pytest.raises(ValueError, match="epoch must not be negative, got -1"):
        told(photos, epoch=-1)

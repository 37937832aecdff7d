"""Conditions of a test, image after image: the order, the samples, and what is read."""

import mmengine.fileio
import numpy as np
import pytest
from coco_folder import conditions_cfg
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.dataset import ConcatDataset

from derain_plugin.datasets.interleaved_dataset import parts_in_order

LOAD = dict(type="LoadImageFromFile")
PACK = dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape", "img_path"))


@TRANSFORMS.register_module(force=True)
class Blacken:
    """Changes the array that it was given."""

    def __call__(self, results):
        results["img"][:] = 0
        return results


def conditions(root, *steps, sizes=(4, 4, 4), loads=(LOAD,) * 3, kind="InterleavedDataset"):
    middle = [[step] if step else [] for step in steps or (None,) * 3]
    pipelines = [[load, *steps, PACK] for load, steps in zip(loads, middle, strict=True)]
    cfg = conditions_cfg(root, pipelines, kind=kind)
    for dataset, size in zip(cfg["datasets"], sizes, strict=True):
        dataset["indices"] = size
    return DATASETS.build(cfg)


@pytest.fixture
def num_read(monkeypatch):
    paths = []
    get = mmengine.fileio.get
    monkeypatch.setattr(
        mmengine.fileio, "get", lambda path, *a, **k: (paths.append(path), get(path, *a, **k))[1]
    )
    return lambda: len(paths)


RAIN = [None, *(dict(type="SyntheticRain", severity=k, seed=0) for k in (2, 4))]


def test_samples_are_those_of_a_concatenated_one(coco_root):
    dataset = conditions(coco_root, *RAIN)
    concatenated = conditions(coco_root, *RAIN, kind="ConcatDataset")
    assert isinstance(dataset, ConcatDataset)
    assert len(dataset) == len(concatenated) == 12
    for index in range(12):
        image, part = divmod(index, 3)
        sample, expected = dataset[index], concatenated[4 * part + image]
        assert sample["inputs"].equal(expected["inputs"])
        assert sample["data_samples"].metainfo == expected["data_samples"].metainfo
        assert dataset.get_data_info(index) == concatenated.get_data_info(4 * part + image)
    assert dataset[-1]["inputs"].equal(concatenated[-1]["inputs"])


def test_an_image_is_read_once(coco_root, num_read):
    for sample in (dataset := conditions(coco_root, *RAIN)):
        assert sample is not None
    assert num_read() == 4
    assert dataset[0]["data_samples"].img_path != dataset[11]["data_samples"].img_path
    assert num_read() == 6  # only the last image is kept


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ((LOAD, dict(LOAD, imdecode_backend="pillow"), LOAD), 8),
        ((dict(type="LoadImageFromFile", color_type="color_ignore_orientation"), LOAD, LOAD), 8),
    ],
)
def test_other_ways_to_read_are_kept_apart(coco_root, num_read, loads, expected):
    assert len(list(conditions(coco_root, loads=loads))) == 12
    assert num_read() == expected


def test_a_step_that_writes_into_the_image_changes_no_other_condition(coco_root):
    dataset = conditions(coco_root, dict(type="Blacken"), None, dict(type="Blacken"))
    assert [bool(sample["inputs"].any()) for sample in dataset] == [False, True, False] * 4


def test_a_shorter_dataset_ends_earlier(coco_root):
    dataset = conditions(coco_root, sizes=(3, 1, 2))
    ids = [sample["data_samples"].img_id for sample in dataset]
    assert ids == [1, 1, 1, 2, 2, 3]
    assert dataset.metainfo["interleaved"]
    np.testing.assert_array_equal(parts_in_order(dataset.metainfo), [0, 1, 2, 0, 2, 0])
    concatenated = dict(cumulative_sizes=[3, 4, 6])
    np.testing.assert_array_equal(parts_in_order(concatenated), [0, 0, 0, 1, 2, 2])
    np.testing.assert_array_equal(parts_in_order([concatenated] * 3), [0, 0, 0, 1, 2, 2])

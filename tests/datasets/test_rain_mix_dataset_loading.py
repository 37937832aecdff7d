import copy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from torch.utils.data import DataLoader

from derain_plugin.datasets import RainMixDataset

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path")),
]


class MixFactory:
    """Builds equal datasets, as the processes of a distributed run do."""

    def __init__(self, root: Path) -> None:
        self.side = dict(
            type="CocoDataset",
            data_root=str(root),
            ann_file="annotations/instances_train2017.json",
            data_prefix=dict(img="train2017/"),
            metainfo=dict(classes=("square", "disc")),
            pipeline=PIPELINE,
            serialize_data=False,  # saves a slow garbage collection
        )

    def __call__(self, **options) -> RainMixDataset:
        return RainMixDataset(self.side, self.side, **options)

    def expect(self, epoch: int, **options) -> dict[int, bool]:
        """Rain of every image in an epoch, computed by a dataset of its own."""
        dataset = self(**options)
        dataset.set_epoch(epoch)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        return {info["img_id"]: info["rainy"] for info in infos}


@pytest.fixture(scope="module")
def make_mix(coco_root: Path) -> MixFactory:
    return MixFactory(coco_root)


def rain_of(batches) -> list[tuple[int, bool]]:
    samples = [sample for batch in batches for sample in batch["data_samples"]]
    return [(sample.img_id, sample.metainfo["rainy"]) for sample in samples]


@pytest.mark.parametrize(
    "loading",
    [
        dict(num_workers=0),
        dict(num_workers=2, persistent_workers=False),
        dict(num_workers=2, persistent_workers=True),
        pytest.param(
            dict(num_workers=1, persistent_workers=True, multiprocessing_context="spawn"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["main-process", "fork", "fork-persistent", "spawn-persistent"],
)
def test_workers_see_the_epoch(make_mix, loading):
    dataset = copy.deepcopy(make_mix())  # as mmengine does with a dataset inside a loader's config
    sampler = DefaultSampler(dataset, seed=0)
    loader = DataLoader(
        dataset, batch_size=3, sampler=sampler, collate_fn=pseudo_collate, **loading
    )
    for epoch in (0, 1, 2, 7):
        dataset.set_epoch(epoch)
        seen = rain_of(loader)
        assert len(seen) == 10
        assert dict(seen) == make_mix.expect(epoch)
        assert sum(dict(seen).values()) == 7


@pytest.mark.parametrize(("percent", "padding"), [(100, 0), (90, 1)])
def test_ranks_share_an_epoch(make_mix, monkeypatch, percent, padding):
    for epoch in range(3):
        seen: list[tuple[int, bool]] = []
        for rank in range(2):
            monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda r=rank: (r, 2))
            dataset = make_mix(percent=percent)
            dataset.set_epoch(epoch)
            sampler = DefaultSampler(dataset, seed=0)
            sampler.set_epoch(epoch)
            infos = [dataset.get_data_info(i) for i in sampler]
            assert len(infos) == 5
            seen += [(info["img_id"], info["rainy"]) for info in infos]
        expected = make_mix.expect(epoch, percent=percent)
        assert dict(seen) == expected
        assert len(seen) == len(expected) + padding


def test_aspect_ratio_batches(make_mix):
    dataset = make_mix()
    batches = DATA_SAMPLERS.build(
        dict(type="AspectRatioBatchSampler", sampler=DefaultSampler(dataset), batch_size=2)
    )
    loader = DataLoader(
        dataset, batch_sampler=batches, collate_fn=pseudo_collate, num_workers=2,
        persistent_workers=True,
    )  # fmt: skip
    for epoch in range(2):
        dataset.set_epoch(epoch)
        assert Counter(rain_of(loader)) == Counter(make_mix.expect(epoch).items())


def test_infinite_sampler(make_mix):
    dataset = make_mix()
    indices = iter(InfiniteSampler(dataset, seed=0))
    passes = [[next(indices) for _ in range(10)] for _ in range(2)]
    infos = [[dataset.get_data_info(i) for i in indices] for indices in passes]
    rain = [{info["img_id"]: info["rainy"] for info in one_pass} for one_pass in infos]
    assert rain[0] == rain[1] == make_mix.expect(0)
    assert not np.array_equal(*passes)

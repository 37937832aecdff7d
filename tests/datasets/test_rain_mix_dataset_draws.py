"""What a sample looks like follows from the run's seed, the epoch and the image."""

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from rain_mix import PIPELINE, mix, rain_flags
from torch.utils.data import DataLoader


class AddNoise:
    """Draws from each of the three global generators."""

    def __call__(self, results):
        noise = [random.random(), np.random.rand(), float(torch.rand(()))]  # noqa: NPY002
        results["img"] = results["img"] * np.array(noise, dtype=np.float32)
        return results


AUGMENTATION = [
    *PIPELINE[:2],
    dict(type="SyntheticRain", severity=(0, 5)),
    dict(type="Uint8PhotoMetricDistortion"),
    dict(type="LazyExpand", mean=[0, 0, 0], to_rgb=False),
    dict(type="RandomApply", transforms=[dict(type="LazyMinIoURandomCrop")], prob=0.8),
    dict(type="LazyRandomFlip", prob=0.5),
    dict(type="WarpResize", scale=(48, 48)),
    AddNoise(),
    PIPELINE[2],
]


def augmented(roots, *, epoch=0, seed=0, pipeline=AUGMENTATION):
    dataset = mix(roots, clean=dict(pipeline=pipeline), rainy=dict(pipeline=pipeline))
    dataset.set_epoch(epoch)
    if seed is not None:
        dataset.set_run_seed(seed)
    return dataset


def look(sample):
    """A sample as a number that any other pixel would change."""
    return float(sample["inputs"].double().std())


def looks(dataset):
    return [look(dataset[idx]) for idx in range(len(dataset))]


def global_state():
    return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002


def scramble():
    for _ in range(3):
        global_state()


@pytest.fixture
def photos(roots):
    """The clean photos as both sides: the other ones are black."""
    return roots[0], roots[0]


def test_follows_from_the_numbers_and_not_from_the_past(photos):
    one, other = augmented(photos), augmented(photos)
    expected = looks(one)
    scramble()
    assert [look(other[idx]) for idx in reversed(range(10))] == expected[::-1]
    assert looks(one) == expected
    assert look(one[-1]) == expected[9]
    assert look(one[np.int64(9)]) == expected[9]


def test_differs_in_every_epoch_image_and_run(photos):
    dataset = augmented(photos)
    seen = set()
    for seed in range(2):
        for epoch in range(3):
            dataset.set_run_seed(seed)
            dataset.set_epoch(epoch)
            seen.update(looks(dataset))
    assert len(seen) == 2 * 3 * 10


@pytest.mark.parametrize("generator", range(3))
def test_covers_each_global_generator(photos, generator):
    def dim(results):
        results["img"] = results["img"] * np.float32(0.1 + global_state()[generator])
        return results

    dataset = augmented(photos, pipeline=[PIPELINE[0], dim, PIPELINE[2]])
    expected = looks(dataset)
    scramble()
    assert looks(dataset) == expected
    dataset.set_epoch(1)
    assert not set(looks(dataset)) & set(expected)


@pytest.mark.parametrize(
    "loading",
    [
        dict(num_workers=0),
        dict(num_workers=2),
        dict(num_workers=2, persistent_workers=True),
        dict(num_workers=3, persistent_workers=True),
    ],
    ids=["main-process", "workers", "persistent-workers", "three-workers"],
)
def test_any_worker_draws_the_same_and_no_epoch_repeats(photos, loading):
    dataset = copy.deepcopy(augmented(photos))
    loader = DataLoader(
        dataset,
        batch_size=3,
        sampler=DefaultSampler(dataset, seed=0),
        collate_fn=pseudo_collate,
        **loading,
    )
    alone, seen = augmented(photos), []
    for epoch in (0, 1, 5):
        for told in (dataset, alone, loader.sampler):
            told.set_epoch(epoch)
        batches = [(batch["inputs"], batch["data_samples"]) for batch in loader]
        samples = [pair for batch in batches for pair in zip(*batch, strict=True)]
        by_id = {sample.img_id: look(dict(inputs=inputs)) for inputs, sample in samples}
        assert [by_id[idx] for idx in range(1, 11)] == looks(alone)
        seen += by_id.values()
    assert len(set(seen)) == len(seen)


def test_leaves_the_generators_of_the_process_alone(photos):
    def fail(results):
        scramble()
        raise KeyError("a bug")

    def draws(action):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        action()
        return global_state()

    broken = augmented(photos, pipeline=[PIPELINE[0], fail])

    def meet_the_bug():
        with pytest.raises(KeyError, match="a bug"):
            broken[0]

    untouched = draws(lambda: None)
    assert draws(lambda: looks(augmented(photos))) == untouched
    assert draws(meet_the_bug) == untouched


def test_replacements_follow_too(private_roots):
    plain = mix(private_roots)
    idx = rain_flags(plain).index(False)
    bad = plain.get_data_info(idx)["img_path"]
    Path(bad).write_bytes(b"")
    dataset = augmented((private_roots[0], private_roots[0]))

    def replacement():
        sample = dataset[idx]
        return sample["data_samples"].img_path, look(sample)

    found = []
    for epoch in range(8):
        dataset.set_epoch(epoch)
        found.append(replacement())
        scramble()
        assert replacement() == found[-1]
    assert len({path for path, _ in found}) > 2


def test_without_a_told_seed_it_draws_like_any_dataset(photos):
    dataset = augmented(photos, seed=None)
    assert not set(looks(dataset)) & set(looks(dataset))


def test_negative_seed(photos):
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        augmented(photos, seed=-1)

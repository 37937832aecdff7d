import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, HOOKS
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader, RandomSampler

from derain_plugin.engine.hooks import EpochSeedHook

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(32, 32)),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackDetInputs", meta_keys=("img_id",)),
]


class Diary(BaseModel):
    """Writes down what arrives in which order, and what it draws itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, bool]] = []
        self.looks: list[float] = []
        self.noise: list[tuple[float, ...]] = []

    def forward(self, inputs, data_samples, mode):
        self.seen += [(sample.img_id, sample.metainfo["rainy"]) for sample in data_samples]
        self.looks += [float(image.float().mean()) for image in inputs]
        self.noise.append(draw())
        return dict(loss=self.weight.sum())


def draw() -> tuple[float, ...]:
    return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002


def by_epoch(entries: list, epochs: int) -> list[list]:
    length = len(entries) // epochs
    return [entries[i : i + length] for i in range(0, len(entries), length)]


def mix(root: Path) -> dict:
    side = dict(
        type="CocoDataset",
        data_root=str(root),
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img="train2017/"),
        metainfo=dict(classes=("square", "disc")),
        pipeline=PIPELINE,
        serialize_data=False,  # saves a slow garbage collection
    )
    return dict(type="RainMixDataset", clean=side, rainy=side)


def train(*args, **kwargs) -> Diary:
    runner = build_runner(*args, **kwargs)
    runner.train()
    # Persistent workers that are left to the garbage collector take seconds to end.
    runner.train_loop.dataloader._iterator = None
    return runner.model


def build_runner(
    root: Path, work_dir: Path, *, epochs: int, resume=False, hook=None, loading=None, **kwargs
) -> Runner:
    loader = dict(
        dataset=mix(root),
        sampler=dict(type="DefaultSampler", shuffle=True),
        batch_size=4,
        num_workers=0,
    )
    return Runner(
        **dict(
            model=Diary(),
            work_dir=str(work_dir),
            train_dataloader=loader | (loading or {}),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
            default_hooks=dict(sampler_seed=dict(type="EpochSeedHook", **(hook or {}))),
            resume=resume,
            randomness=dict(seed=3),
            default_scope="mmdet",
            experiment_name=f"{work_dir.name}-{resume}",
            log_level="WARNING",
        )
        | kwargs
    )


LOADING = {
    "main-process": {},
    "workers": dict(num_workers=2),
    "persistent": dict(num_workers=1, persistent_workers=True),
    "aspect-ratio": dict(batch_sampler=dict(type="AspectRatioBatchSampler")),
}


@pytest.mark.parametrize("loading", LOADING.values(), ids=LOADING)
def test_offset_repeats_the_later_epochs_of_another_run(coco_root, tmp_path, loading):
    full = train(coco_root, tmp_path / "full", epochs=4, loading=loading)
    hook = dict(epoch_offset=2)
    control = train(coco_root, tmp_path / "control", epochs=2, hook=hook, loading=loading)
    for part in ("seen", "looks", "noise"):
        ours = by_epoch(getattr(full, part), 4)
        assert by_epoch(getattr(control, part), 2) == ours[2:], part
        assert len({tuple(sorted(epoch)) for epoch in ours}) > 2, part  # rain is drawn rarely
    epochs = by_epoch(full.seen, 4)
    assert len({tuple(image for image, _ in epoch) for epoch in epochs}) == 4  # order
    dataset = DATASETS.build(mix(coco_root))
    for number, epoch in enumerate(epochs):
        dataset.set_epoch(number)
        infos = [dataset.get_data_info(i) for i in range(10)]
        assert dict(epoch) == {info["img_id"]: info["rainy"] for info in infos}


@pytest.mark.parametrize("loading", LOADING.values(), ids=LOADING)
def test_resume_continues_the_draws(coco_root, tmp_path, loading):
    full = train(coco_root, tmp_path / "full", epochs=3, loading=loading)
    train(coco_root, tmp_path / "parts", epochs=1, loading=loading)
    rest = train(coco_root, tmp_path / "parts", epochs=3, loading=loading, resume=True)
    for part in ("seen", "looks", "noise"):
        ours = getattr(full, part)
        assert getattr(rest, part) == ours[len(ours) // 3 :], part


@pytest.mark.parametrize("randomness", [dict(seed=None), dict(seed=None, diff_rank_seed=True)])
def test_resume_takes_the_order_of_a_random_seed_from_the_checkpoint(
    coco_root, tmp_path, randomness
):
    options = dict(randomness=randomness)
    first = train(coco_root, tmp_path / "run", epochs=1, **options)
    rest = train(coco_root, tmp_path / "run", epochs=2, resume=True, **options)
    seed = torch.load(tmp_path / "run/epoch_2.pth", weights_only=False)["meta"]["seed"]
    full = train(coco_root, tmp_path / "full", epochs=2, randomness=dict(seed=seed))
    assert first.seen + rest.seen == full.seen
    assert first.looks + rest.looks == full.looks


def test_another_seed_draws_differently_but_rains_alike(coco_root, tmp_path):
    one, other = (
        train(coco_root, tmp_path / str(seed), epochs=1, randomness=dict(seed=seed))
        for seed in (0, 1)
    )
    assert set(one.seen) == set(other.seen)
    assert one.seen != other.seen
    assert set(one.looks) != set(other.looks)
    assert not set(one.noise) & set(other.noise)


def test_overrules_the_hook_that_mmengine_adds(coco_root, tmp_path):
    hooks = dict(default_hooks=None, custom_hooks=[dict(type="EpochSeedHook", epoch_offset=2)])
    beside = train(coco_root, tmp_path / "beside", epochs=1, **hooks)
    alone = train(coco_root, tmp_path / "alone", epochs=1, hook=dict(epoch_offset=2))
    assert beside.seen == alone.seen


@pytest.mark.parametrize(
    "wrapper", ["Repeat", "ClassBalanced", "Concat", "MultiImageMix", "Sliced"]
)
def test_reaches_into_the_wrappers(coco_root, wrapper):
    cfg = mix(coco_root)
    dataset = dict(
        Repeat=dict(type="RepeatDataset", times=2, dataset=cfg),
        ClassBalanced=dict(type="ClassBalancedDataset", oversample_thr=0.1, dataset=cfg),
        Concat=dict(type="ConcatDataset", datasets=[cfg, cfg]),
        MultiImageMix=dict(type="MultiImageMixDataset", dataset=cfg, pipeline=[]),
        Sliced=dict(type="RepeatDataset", times=2, dataset=cfg),
    )[wrapper]
    loader = Runner.build_dataloader(
        dict(
            dataset=dataset,
            sampler=dict(type="DefaultSampler"),
            batch_size=1,
            **(dict(num_batch_per_epoch=10) if wrapper == "Sliced" else {}),
        )
    )
    run_hook(EpochSeedHook(epoch_offset=4), loader, epoch=2)
    expected = DATASETS.build(cfg)
    expected.set_epoch(6)
    expected.set_run_seed(7)
    for idx in range(len(loader.dataset)):
        info = expected.get_data_info(idx % 10)
        assert loader.dataset.get_data_info(idx)["rainy"] == info["rainy"]
    image = expected[3]["inputs"]
    assert torch.equal(loader.dataset[3]["inputs"], image)
    assert (loader.sampler.epoch, loader.sampler.seed) == (6, 7)


def run_hook(hook: EpochSeedHook, loader: DataLoader, epoch: int, seed: int = 7, rank: int = 0):
    loop = SimpleNamespace(dataloader=loader)
    runner = SimpleNamespace(epoch=epoch, train_loop=loop, seed=seed, rank=rank)
    hook.before_train(runner)
    hook.before_train_epoch(runner)


def test_data_without_epochs_is_left_alone():
    run_hook(EpochSeedHook(), DataLoader([1, 2, 3]), epoch=1)
    run_hook(EpochSeedHook(), DataLoader([1, 2, 3], batch_size=None), epoch=1)


def test_ranks_draw_differently():
    def drawn(rank):
        run_hook(EpochSeedHook(), DataLoader([1]), epoch=1, rank=rank)
        return draw()

    assert drawn(0) == drawn(0)
    assert not set(drawn(0)) & set(drawn(1))


def test_ranks_share_the_order_even_with_seeds_of_their_own(monkeypatch):
    def receive(seeds):
        seeds[0] = 11  # of rank 0

    monkeypatch.setattr("derain_plugin.engine.hooks.epoch_seed_hook.broadcast_object_list", receive)
    loader = DataLoader([1, 2, 3], sampler=DefaultSampler([1, 2, 3], seed=0))
    run_hook(EpochSeedHook(), loader, epoch=1, seed=12, rank=1)
    assert loader.sampler.seed == 11


@pytest.mark.parametrize("workers", [dict(num_workers=0), dict(num_workers=1)])
def test_plain_datasets_and_samplers_draw_from_the_epoch(workers):
    """Also when workers live on, for which a new iterator is not made."""

    def epochs(first, last, **loading):
        loader = DataLoader([*range(20)], sampler=RandomSampler(range(20)), **loading)
        result = []
        for epoch in range(first, last):
            run_hook(EpochSeedHook(), loader, epoch=epoch)
            result.append(([int(item) for item in loader], draw()))
        return result

    whole = epochs(0, 3, **workers)
    assert epochs(1, 3, **workers) == whole[1:]
    assert len({str(order) for order, _ in whole}) == 3
    if workers["num_workers"]:
        assert epochs(0, 3, persistent_workers=True, **workers) == whole


def test_iteration_based_loop_is_warned_about(coco_root, tmp_path, caplog):
    loading = dict(sampler=dict(type="InfiniteSampler"), batch_size=10)
    iterations = dict(by_epoch=False, max_iters=2)
    runner = build_runner(coco_root, tmp_path, epochs=0, loading=loading, train_cfg=iterations)
    MMLogger.get_current_instance().addHandler(caplog.handler)
    runner.train()
    assert "an iteration-based loop is one single epoch" in caplog.text
    # Seeded as one epoch, all its passes over the data would look the same.
    looks = runner.model.looks
    assert not set(looks[:10]) & set(looks[10:])


@pytest.mark.parametrize("offset", [-1, 1.5, "5", None])
def test_bad_offset(offset):
    with pytest.raises(ValueError, match=f"epoch_offset must be an integer >= 0, got {offset!r}"):
        HOOKS.build(Config(dict(hook=dict(type="EpochSeedHook", epoch_offset=offset))).hook)

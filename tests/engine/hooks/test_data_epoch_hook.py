from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import DATASETS, HOOKS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from derain_plugin.engine.hooks import DataEpochHook

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(32, 32)),
    dict(type="PackDetInputs", meta_keys=("img_id",)),
]


class Diary(BaseModel):
    """Writes down which pictures arrive in which order, and whether they are rainy."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, bool]] = []

    def forward(self, inputs, data_samples, mode):
        self.seen += [(sample.img_id, sample.metainfo["rainy"]) for sample in data_samples]
        return dict(loss=self.weight.sum())

    def epochs(self, length: int = 10) -> list[list[tuple[int, bool]]]:
        return [self.seen[i : i + length] for i in range(0, len(self.seen), length)]


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


def train(root: Path, work_dir: Path, *, epochs: int, hook: dict, resume=False, **loading) -> Diary:
    loader = dict(
        dataset=mix(root),
        sampler=dict(type="DefaultSampler", shuffle=True),
        batch_size=4,
        num_workers=0,
    )
    runner = Runner(
        model=Diary(),
        work_dir=str(work_dir),
        train_dataloader=loader | loading,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        custom_hooks=[dict(type="DataEpochHook", **hook)],
        resume=resume,
        randomness=dict(seed=3),
        default_scope="mmdet",
        experiment_name=f"{work_dir.name}-{resume}",
        log_level="WARNING",
    )
    runner.train()
    return runner.model


@pytest.mark.parametrize(
    "loading",
    [
        {},
        dict(num_workers=1, persistent_workers=True),
        dict(batch_sampler=dict(type="AspectRatioBatchSampler")),
    ],
    ids=["main-process", "persistent", "aspect-ratio"],
)
def test_offset_repeats_the_later_epochs_of_another_run(coco_root, tmp_path, loading):
    full = train(coco_root, tmp_path / "full", epochs=4, hook={}, **loading).epochs()
    control = train(
        coco_root, tmp_path / "control", epochs=2, hook=dict(epoch_offset=2), **loading
    ).epochs()
    assert control == full[2:]
    assert len(full) == 4
    assert len({tuple(sorted(epoch)) for epoch in full}) > 2  # rain
    assert len({tuple(picture for picture, _ in epoch) for epoch in full}) == 4  # order
    dataset = DATASETS.build(mix(coco_root))
    for number, epoch in enumerate(full):
        dataset.set_epoch(number)
        infos = [dataset.get_data_info(i) for i in range(10)]
        assert dict(epoch) == {info["img_id"]: info["rainy"] for info in infos}


def test_resume_continues_the_draws(coco_root, tmp_path):
    full = train(coco_root, tmp_path / "full", epochs=4, hook={}).epochs()
    train(coco_root, tmp_path / "parts", epochs=2, hook={})
    assert train(coco_root, tmp_path / "parts", epochs=4, hook={}, resume=True).epochs() == full[2:]


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
    run_hook(DataEpochHook(epoch_offset=4), loader, epoch=2)
    expected = DATASETS.build(cfg)
    expected.set_epoch(6)
    for idx in range(len(loader.dataset)):
        info = expected.get_data_info(idx % 10)
        assert loader.dataset.get_data_info(idx)["rainy"] == info["rainy"]
    assert loader.sampler.epoch == 6


def run_hook(hook: DataEpochHook, loader: DataLoader, epoch: int) -> None:
    runner = SimpleNamespace(epoch=epoch, train_loop=SimpleNamespace(dataloader=loader))
    hook.before_train_epoch(runner)


def test_data_without_epochs_is_left_alone():
    run_hook(DataEpochHook(), DataLoader([1, 2, 3]), epoch=1)
    run_hook(DataEpochHook(), DataLoader([1, 2, 3], batch_size=None), epoch=1)


def test_iteration_based_loop_is_warned_about(coco_root, tmp_path, caplog):
    loader = dict(
        dataset=mix(coco_root), sampler=dict(type="InfiniteSampler"), batch_size=2, num_workers=0
    )
    runner = Runner(
        model=Diary(),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=False, max_iters=2),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        custom_hooks=[DataEpochHook()],
        default_scope="mmdet",
        experiment_name="iterations",
    )
    MMLogger.get_current_instance().addHandler(caplog.handler)
    runner.train()
    assert "an iteration-based loop is one single epoch" in caplog.text


@pytest.mark.parametrize("offset", [-1, 1.5, "5", None])
def test_bad_offset(offset):
    with pytest.raises(ValueError, match=f"epoch_offset must be an integer >= 0, got {offset!r}"):
        HOOKS.build(Config(dict(hook=dict(type="DataEpochHook", epoch_offset=offset))).hook)

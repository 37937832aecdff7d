import random

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_rtdetr import data_samples, tiny_rtdetr_cfg
from torch.utils.data import Dataset

from derain_plugin.engine.hooks import RainMaskVisualizationHook
from derain_plugin.visualization import MaskedImage, RainMaskRecorder

ITERATIONS = 4


class ImageDataset(Dataset):
    """Two images per batch."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        size = (2 * ITERATIONS, 3, 64, 64)
        self.inputs = torch.randint(256, size, generator=generator, dtype=torch.uint8)
        self.samples = data_samples([2] * len(self.inputs), (64, 64))

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return dict(inputs=self.inputs[index], data_samples=self.samples[index])


class Watch(Hook):
    """Notes losses, gradients, modes and random states after each iteration."""

    priority = "LOWEST"

    def __init__(self):
        self.notes = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        modes = [module.training for module in runner.model.modules()]
        grads = [p.grad.clone() for p in runner.model.parameters() if p.grad is not None]
        draws = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
        self.notes.append((outputs["loss"].clone(), grads, modes, draws))


def train(work_dir, *hooks, resume_from=None, wrapper=None, **kwargs):
    """Train a tiny detector with EMA; return the runner and what was noted."""
    DetLocalVisualizer._instance_dict.clear()
    torch.manual_seed(0)
    cfg = tiny_rtdetr_cfg()
    derain = dict(type="MultiScaleFeatureDerain", in_channels=(16, 24, 32))
    cfg["neck"] = dict(type="DerainNeck", derain=derain, neck=cfg["neck"])
    watch = Watch()
    runner = Runner(
        **dict(
            model=cfg,
            work_dir=str(work_dir),
            train_dataloader=dict(
                batch_size=2,
                dataset=ImageDataset(),
                sampler=dict(type="DefaultSampler", shuffle=False),
                collate_fn=pseudo_collate,
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=9),
            optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-3)),
            custom_hooks=[dict(type="EMAHook"), *hooks, watch],
            default_hooks=dict(sampler_seed=dict(type="EpochSeedHook")),
            visualizer=dict(type="DetLocalVisualizer", vis_backends=[dict(type="LocalVisBackend")]),
            randomness=dict(seed=0),
            default_scope="mmdet",
            log_level="WARNING",
            experiment_name=work_dir.name,
            load_from=resume_from,
            resume=resume_from is not None,
        )
        | kwargs
    )
    runner.train()
    return runner, watch.notes


def hook(**options):
    return dict(type="RainMaskVisualizationHook", **options)


def images(work_dir):
    return sorted(path.name for path in work_dir.glob("*/vis_data/vis_image/*"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("shown")
    return work_dir, *train(work_dir, hook(interval=3))


def test_shows_images_at_its_interval(shown):
    expected = [f"train_rain_masks_{i}_{step}.png" for i in (0, 1) for step in (3, 6)]
    assert images(shown[0]) == expected


def test_shows_the_image_of_the_iteration_and_its_masks(shown):
    (path,) = shown[0].glob("*/vis_data/vis_image/train_rain_masks_1_6.png")
    image = cv2.imread(str(path))
    expected = ImageDataset().inputs[3].permute(1, 2, 0).numpy()  # batch 2 of epoch 2
    np.testing.assert_array_equal(image[-64:, :64], expected)
    assert image.shape[1] > 4 * 64


def test_tensorboard_shows_them(tmp_path):
    backends = [dict(type="TensorboardVisBackend")]
    visualizer = dict(type="DetLocalVisualizer", vis_backends=backends)
    train(tmp_path, hook(interval=3), visualizer=visualizer)
    (folder,) = tmp_path.glob("*/vis_data")
    events = EventAccumulator(str(folder)).Reload()
    assert set(events.Tags()["images"]) == {"train_rain_masks_0", "train_rain_masks_1"}
    image = events.Images("train_rain_masks_1")[1]
    assert (image.step, image.height) == (6, 86)
    pixels = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    expected = ImageDataset().inputs[3].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels[-64:, :64], expected)


def test_training_is_bitwise_the_same(shown, tmp_path):
    _, runner, notes = shown
    plain, plain_notes = train(tmp_path)
    assert not images(tmp_path)
    torch.testing.assert_close(runner.model.state_dict(), plain.model.state_dict(), rtol=0, atol=0)
    for note, other in zip(notes, plain_notes, strict=True):
        torch.testing.assert_close(note[:2], other[:2], rtol=0, atol=0)
        assert note[2] == other[2]
        assert torch.equal(note[3][0], other[3][0])
        assert note[3][1:] == other[3][1:]


def test_a_resumed_run_shows_the_same(shown, tmp_path):
    train(tmp_path, hook(interval=3), resume_from=str(shown[0] / "epoch_1.pth"))
    assert images(tmp_path) == [name for name in images(shown[0]) if name.endswith("_6.png")]
    for name in images(tmp_path):
        (new,), (old,) = (
            root.glob(f"*/vis_data/vis_image/{name}") for root in (tmp_path, shown[0])
        )
        assert new.read_bytes() == old.read_bytes()


def test_masks_that_are_not_finite_do_not_end_the_training(shown, tmp_path, monkeypatch):
    def take(_):
        nan = np.full((2, 2), np.nan, np.float32)
        return [MaskedImage(np.zeros((9, 9, 3), np.uint8), (nan,), (8,), DetDataSample())]

    monkeypatch.setattr(RainMaskRecorder, "take", take)
    runner, _ = train(tmp_path, hook(interval=1), train_cfg=dict(by_epoch=True, max_epochs=1))
    assert runner.iter == ITERATIONS
    assert not images(tmp_path)


@pytest.mark.parametrize("options", [dict(interval=0), dict(interval=1.5), dict(num_images=0)])
def test_refuses_what_is_no_count(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be a positive integer"):
        RainMaskVisualizationHook(**options)


def test_refuses_a_detector_without_derain_neck(tmp_path):
    with pytest.raises(ValueError, match="no DerainNeck"):
        train(tmp_path, hook(), model=tiny_rtdetr_cfg())
    assert not list(tmp_path.glob("*.pth"))

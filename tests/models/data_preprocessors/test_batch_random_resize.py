from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from derain_plugin.models.data_preprocessors import BatchRandomResize

SIZES = list(range(480, 801, 32))
BOXES = torch.tensor([[10.0, 20.0, 50.0, 60.0], [0.0, 0.0, 64.0, 96.0]])


@pytest.fixture
def hub():
    """The message hub of a Runner; tests write ``iter`` into it."""
    return MessageHub.get_instance(f"batch_random_resize_{np.random.default_rng().integers(2**40)}")


def make_sample(boxes=BOXES, *, height: int = 96, width: int = 64, **metainfo) -> DetDataSample:
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(height, width),
            pad_shape=(height, width),
            scale_factor=(0.5, 0.25),
            **metainfo,
        )
    )
    sample.gt_instances = InstanceData(bboxes=boxes.clone(), labels=torch.tensor([0, 1]))
    return sample


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("boxtype", [torch.clone, HorizontalBoxes])
def test_everything_is_scaled(hub, ignored, boxtype):
    sample = make_sample()
    sample.gt_instances.bboxes = boxtype(BOXES)
    if ignored:
        sample.ignored_instances = InstanceData(bboxes=boxtype(BOXES[:1]))
    images = torch.rand(1, 3, 96, 64)
    resized, (same,) = BatchRandomResize([(128, 128)])(images, [sample])
    assert same is sample
    assert resized.shape == (1, 3, 128, 128)
    expected = BOXES * torch.tensor([2.0, 128 / 96, 2.0, 128 / 96])
    assert torch.equal(tensor_of(sample.gt_instances.bboxes), expected)
    if ignored:
        assert torch.equal(tensor_of(sample.ignored_instances.bboxes), expected[:1])
    assert sample.img_shape == sample.pad_shape == sample.batch_input_shape == (128, 128)
    assert sample.scale_factor == pytest.approx((1.0, 0.25 * 128 / 96))


def tensor_of(boxes) -> torch.Tensor:
    return boxes.tensor if isinstance(boxes, HorizontalBoxes) else boxes


@pytest.mark.parametrize("size", SIZES)
def test_shapes_are_exact_at_every_size(hub, size):
    sample = make_sample(height=640, width=640)
    sample.set_metainfo(dict(img_shape=(480, 640)))
    BatchRandomResize([size])(torch.zeros(1, 1, 640, 640), [sample])
    assert sample.img_shape == (480 * size // 640, size)


def test_nearest_copies_pixels(hub):
    images = torch.rand(2, 3, 8, 8)
    resized, _ = BatchRandomResize([16])(images, [])
    assert torch.equal(resized, images.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_bilinear_mixes_pixels(hub):
    images = torch.rand(2, 3, 8, 8)
    resized, _ = BatchRandomResize([16], interpolation="bilinear")(images, [])
    assert not torch.isin(resized, images).all()


def test_same_size_changes_nothing(hub):
    sample, images = make_sample(width=96), torch.rand(1, 3, 96, 96)
    resized, _ = BatchRandomResize([(96, 96)])(images, [sample])
    assert resized is images
    assert torch.equal(sample.gt_instances.bboxes, BOXES)


def test_masks_and_empty_images(hub):
    sample = DetDataSample(metainfo=dict(img_shape=(8, 8), pad_shape=(8, 8)))
    masks = BitmapMasks(np.zeros((0, 8, 8), np.uint8), 8, 8)
    sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4), masks=masks)
    BatchRandomResize([16])(torch.zeros(1, 1, 8, 8), [sample])
    assert sample.gt_instances.bboxes.shape == (0, 4)
    assert (sample.gt_instances.masks.height, sample.gt_instances.masks.width) == (16, 16)


def draw(resize: BatchRandomResize, hub: MessageHub, iterations: range) -> list[int]:
    sizes = []
    for iteration in iterations:
        hub.update_info("iter", iteration)
        sizes.append(resize(torch.zeros(1, 1, 2, 2), [])[0].shape[-1])
    return sizes


def test_size_follows_from_seed_and_iteration_alone(hub):
    small = list(range(3, 14))
    whole = draw(BatchRandomResize(small, seed=3), hub, range(300))
    torch.manual_seed(99)
    assert draw(BatchRandomResize(small, seed=3), hub, range(200, 300)) == whole[200:]
    assert draw(BatchRandomResize(small, seed=4), hub, range(300)) != whole
    assert set(whole) == set(small)
    assert whole[:-1] != whole[1:]


def test_frequent_sizes_are_more_likely(hub):
    drawn = draw(BatchRandomResize([3, 4, 4, 4]), hub, range(400))
    assert 0.65 < drawn.count(4) / 400 < 0.85


@pytest.mark.parametrize("training", [True, False])
def test_in_the_data_preprocessor(hub, training):
    preprocessor = MODELS.build(
        dict(
            type="mmdet.DetDataPreprocessor",
            mean=[0, 0, 0],
            std=[255, 255, 255],
            batch_augments=[dict(type="BatchRandomResize", sizes=[(128, 128)])],
        )
    )
    inputs = [torch.full((3, 96, 64), 255, dtype=torch.uint8) for _ in range(2)]
    samples = [make_sample(), make_sample()]
    out = preprocessor(dict(inputs=inputs, data_samples=samples), training=training)
    assert out["inputs"].shape[-2:] == ((128, 128) if training else (96, 64))
    assert out["data_samples"][0].batch_input_shape == out["inputs"].shape[-2:]
    widths = out["data_samples"][1].gt_instances.bboxes[1]
    assert widths.tolist() == ([0, 0, 128, 128] if training else [0, 0, 64, 96])


class SizeRecorder(BaseModel):
    def __init__(self) -> None:
        augments = [dict(type="BatchRandomResize", sizes=list(range(8, 40)))]
        super().__init__(dict(type="mmdet.DetDataPreprocessor", batch_augments=augments))
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.sizes: list[int] = []

    def forward(self, inputs, data_samples, mode="loss"):
        self.sizes.append(inputs.shape[-1])
        return dict(loss=self.weight * inputs.mean())


def train(work_dir: Path, epochs: int, **kwargs) -> list[int]:
    images = [dict(inputs=torch.rand(3, 8, 8), data_samples=make_sample()) for _ in range(4)]
    sampler = dict(type="DefaultSampler", shuffle=True)
    runner = Runner(
        SizeRecorder(),
        work_dir=str(work_dir),
        train_dataloader=dict(dataset=images, batch_size=1, sampler=sampler),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_scope="mmdet",
        experiment_name=f"{work_dir.name}_{epochs}",
        **kwargs,
    )
    runner.train()
    return runner.model.sizes


def test_resumed_training_sees_the_same_sizes(tmp_path):
    whole = train(tmp_path / "whole", epochs=3)
    assert len(set(whole)) > 3
    assert train(tmp_path / "cut", epochs=1) == whole[:4]
    assert train(tmp_path / "cut", epochs=3, resume=True) == whole[4:]


@pytest.mark.parametrize("sizes", [[], [0], [-32], [480.0], ["480"]])
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match="sizes must be positive integers"):
        BatchRandomResize(sizes)


def test_bad_interpolation():
    with pytest.raises(ValueError, match=r"interpolation must be one of .*'cubic'"):
        BatchRandomResize([32], interpolation="cubic")


def test_pairs_are_width_and_height(hub):
    sample = make_sample(height=64, width=96)
    resized, _ = BatchRandomResize([(192, 160)])(torch.rand(1, 3, 64, 96), [sample])
    assert resized.shape == (1, 3, 160, 192)
    assert sample.batch_input_shape == sample.img_shape == (160, 192)
    expected = BOXES * torch.tensor([2.0, 2.5, 2.0, 2.5])
    assert torch.equal(sample.gt_instances.bboxes, expected)


def test_a_side_length_squeezes_no_rectangle(hub):
    with pytest.raises(ValueError, match=r"64 x 96 px into squares.*image_size=\(width, height\)"):
        BatchRandomResize([128])(torch.rand(1, 3, 96, 64), [make_sample()])

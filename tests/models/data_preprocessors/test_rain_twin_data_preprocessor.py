import copy

import numpy as np
import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from skimage import data as photos
from torch import nn

from derain_plugin.datasets.transforms import RainTwin

PLAIN = dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True)
NORMALISED = dict(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], bgr_to_rgb=True)
RAW: dict = {}
RESIZED = dict(PLAIN, batch_augments=[dict(type="BatchRandomResize", sizes=[(64, 64)])])
BOXES = torch.tensor([[4.0, 8.0, 20.0, 24.0]])


class ShiftInPlace(nn.Module):
    """Moves boxes as mmdet's ``BatchSyncRandomResize`` scales them: in the tensor itself."""

    def forward(self, inputs, data_samples):
        for data_sample in data_samples:
            data_sample.gt_instances.bboxes += 1
        return inputs, data_samples


SHIFTED = dict(PLAIN, batch_augments=[dict(type=ShiftInPlace)])


def build(options, type_="RainTwinDataPreprocessor"):
    return MODELS.build(dict(type=type_, **options))


def sample(height, width):
    meta = dict(img_shape=(height, width), scale_factor=(1.0, 1.0), rainy=True)
    instances = InstanceData(bboxes=HorizontalBoxes(BOXES.clone()), labels=torch.tensor([0]))
    return DetDataSample(metainfo=meta, gt_instances=instances)


def batch(channels, *sizes):
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randint(256, (channels, *size), generator=generator, dtype=torch.uint8)
        for size in sizes
    ]
    return dict(inputs=inputs, data_samples=[sample(*size) for size in sizes])


def part_of(twins, channels):
    return dict(twins, inputs=[image[channels] for image in twins["inputs"]])


@pytest.mark.parametrize("options", [PLAIN, NORMALISED, RAW, RESIZED, SHIFTED], ids=str)
def test_every_part_is_preprocessed_as_a_image_alone(options):
    twins = batch(7, (48, 64), (40, 56))
    alone = build(options, "DetDataPreprocessor")
    expected, clean, streaks = (
        alone(copy.deepcopy(part_of(twins, channels)), True)
        for channels in ([0, 1, 2], [3, 4, 5], [6, 6, 6])
    )
    found = build(options)(copy.deepcopy(twins), True)
    assert torch.equal(found["inputs"], expected["inputs"])
    assert torch.equal(found["clean"], clean["inputs"])
    assert found["streaks"].shape == (2, 1, *found["inputs"].shape[-2:])
    if options in (PLAIN, RESIZED, SHIFTED):
        torch.testing.assert_close(found["streaks"], streaks["inputs"][:, :1])
    assert len(found["data_samples"]) == 2
    for ours, theirs in zip(found["data_samples"], expected["data_samples"], strict=True):
        assert torch.equal(ours.gt_instances.bboxes, theirs.gt_instances.bboxes)
        assert ours.metainfo == theirs.metainfo


@pytest.mark.parametrize("options", [PLAIN, NORMALISED, RAW], ids=str)
def test_streaks_are_opacities_and_none_are_in_the_padding(options):
    twins = batch(7, (48, 64), (40, 56))
    streaks = build(options)(copy.deepcopy(twins), True)["streaks"]
    torch.testing.assert_close(streaks[0], twins["inputs"][0][6:] / 255)
    torch.testing.assert_close(streaks[1, :, :40, :56], twins["inputs"][1][6:] / 255)
    assert not streaks[1, :, 40:].any()
    assert not streaks[1, ..., 56:].any()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [PLAIN, NORMALISED, RESIZED], ids=str)
def test_plain_images_are_mmdets_affair(options, training):
    images = batch(3, (48, 64), (40, 56))
    expected = build(options, "DetDataPreprocessor")(copy.deepcopy(images), training)
    found = build(options)(copy.deepcopy(images), training)
    assert found.keys() == expected.keys()
    assert torch.equal(found["inputs"], expected["inputs"])
    assert isinstance(build(options), DetDataPreprocessor)


def test_one_tensor_is_taken_apart_like_a_list():
    twins = batch(7, (48, 64), (48, 64))
    found = build(PLAIN)(copy.deepcopy(twins), True)
    stacked = build(PLAIN)(dict(twins, inputs=torch.stack(twins["inputs"])), True)
    for name in ("inputs", "clean", "streaks"):
        assert torch.equal(found[name], stacked[name])


@pytest.mark.parametrize(
    ("channels", "training", "message"),
    [([7, 3], True, r"\[3, 7\]"), ([7], False, "training=False"), ([6], True, r"\[6\]")],
)
def test_other_images_are_refused(channels, training, message):
    images = [torch.zeros(count, 8, 8, dtype=torch.uint8) for count in channels]
    samples = [sample(8, 8) for _ in images]
    with pytest.raises(ValueError, match=message):
        build(PLAIN)(dict(inputs=images, data_samples=samples), training)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_streaks_lie_where_the_images_differ_after_the_whole_pipeline(flip):
    """Light rain on a dark image: what is brighter there are the streaks, and nothing else."""
    pipeline = Compose(
        [
            RainTwin(severity=1, seed=0, components="streaks"),
            dict(type="RandomFlip", prob=flip),
            dict(type="Resize", scale=(128, 96), keep_ratio=False),
            dict(type="PackDetInputs", meta_keys=("img_shape", "scale_factor")),
        ]
    )
    photo = photos.astronaut()[:200, :300] // 8
    boxes = dict(
        gt_bboxes=HorizontalBoxes(BOXES.clone()),
        gt_bboxes_labels=np.array([0]),
        gt_ignore_flags=np.array([False]),
    )
    packed = pipeline(dict(img=photo, img_id=1, img_shape=(200, 300), **boxes))
    twins = dict(inputs=[packed["inputs"]], data_samples=[packed["data_samples"]])
    augment = dict(type="BatchRandomResize", sizes=[(160, 160)])
    found = build(dict(PLAIN, batch_augments=[augment]))(twins, True)
    brighter = (found["inputs"] - found["clean"]).mean(1).flatten().numpy()
    assert np.corrcoef(brighter, found["streaks"].flatten().numpy())[0, 1] > 0.9

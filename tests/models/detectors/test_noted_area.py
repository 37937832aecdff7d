"""``leave_padding_out``: a detector of mmdet tells its de-rain blocks where the padding is."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import nn

from derain_plugin.models import add_early_derain, leave_padding_out

CHANNELS = [32, 64, 128]


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    torch.manual_seed(0)
    pafpn = dict(type="YOLOXPAFPN", in_channels=CHANNELS, out_channels=16, num_csp_blocks=1)
    derain = dict(type="MultiScaleFeatureDerain", in_channels=CHANNELS)
    model = MODELS.build(
        dict(
            type="YOLOX",
            data_preprocessor=dict(type="DetDataPreprocessor", pad_size_divisor=32),
            backbone=dict(type="CSPDarknet", deepen_factor=0.33, widen_factor=0.125),
            neck=dict(type="DerainNeck", derain=derain, neck=pafpn),
            bbox_head=dict(type="YOLOXHead", num_classes=2, in_channels=16, feat_channels=16),
            train_cfg=dict(assigner=dict(type="SimOTAAssigner")),
            test_cfg=ConfigDict(score_thr=0.0, nms=dict(type="nms", iou_threshold=0.65)),
        )
    )
    add_early_derain(model.backbone, dict(type="EarlyFeatureDerain"), ["stem"])
    leave_padding_out(model)
    return model.eval()


@pytest.fixture
def seen(detector):
    """The shapes that the blocks of stem and of the first level are shown."""
    shapes: list[tuple[int, ...]] = []
    blocks = [detector.backbone.derain.blocks["stem"], detector.neck.derain.blocks[0]]
    handles = [
        block.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape[-2:])))
        for block in blocks
    ]
    yield shapes
    for handle in handles:
        handle.remove()


def batch(*, letterboxed: bool) -> dict:
    """A file of 100 x 200 px at 48 x 96 px, letterboxed to a square by the pipeline or not."""
    shape = (96, 96) if letterboxed else (48, 96)
    sample = DetDataSample(
        metainfo=dict(ori_shape=(100, 200), img_shape=shape, scale_factor=(0.48, 0.48))
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[4.0, 8.0, 40.0, 44.0]]), labels=torch.tensor([1])
    )
    square = DetDataSample(
        metainfo=dict(ori_shape=(96, 96), img_shape=(96, 96), scale_factor=(1.0, 1.0))
    )
    square.gt_instances = sample.gt_instances.clone()
    images = [torch.zeros(3, *shape, dtype=torch.uint8), torch.zeros(3, 96, 96, dtype=torch.uint8)]
    return dict(inputs=images, data_samples=[sample, square])


STEM, LEVEL = [(24, 48), (48, 48)], [(6, 12), (12, 12)]


@torch.no_grad()
@pytest.mark.parametrize("letterboxed", [True, False])
def test_in_a_test_each_image_is_as_large_as_its_file(detector, seen, letterboxed):
    detector.test_step(batch(letterboxed=letterboxed))
    assert seen == [*STEM, *LEVEL]


def test_in_training_the_padding_of_the_batch_is_left_out(detector, seen):
    data = detector.data_preprocessor(batch(letterboxed=False), True)
    detector(**data, mode="loss")
    assert seen == [*STEM, *LEVEL]
    detector(**detector.data_preprocessor(batch(letterboxed=True), True), mode="loss")
    assert seen[4:] == [(48, 48), (12, 12)]


@torch.no_grad()
def test_it_ends_with_the_call(detector, seen):
    detector(torch.zeros(1, 3, 64, 64), mode="tensor")
    assert seen == [(32, 32), (8, 8)]
    data = detector.data_preprocessor(batch(letterboxed=True))
    with pytest.raises(RuntimeError, match="Invalid mode"):
        detector(**data, mode="nonsense")
    detector.extract_feat(torch.zeros(2, 3, 64, 64))
    assert seen[2:] == [(32, 32), (8, 8)]


def test_told_twice_it_notes_once(detector, seen):
    leave_padding_out(detector)
    detector.test_step(batch(letterboxed=True))
    seen.clear()
    with torch.no_grad():
        detector.extract_feat(torch.rand(3, 3, 96, 96))  # of another number of images
    assert len(seen) == 2

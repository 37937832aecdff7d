import copy

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.model import MMDistributedDataParallel
from tiny_rtdetr import build, tiny_rtdetr_cfg
from torch import nn

from derain_plugin.visualization import (
    MaskedImage,
    RainMaskRecorder,
    crop_to_file,
    file_area,
)


def detector(**preprocessor):
    torch.manual_seed(0)
    cfg = tiny_rtdetr_cfg()
    derain = dict(type="MultiScaleFeatureDerain", in_channels=(16, 24, 32))
    cfg["neck"] = dict(type="DerainNeck", derain=derain, neck=cfg["neck"])
    cfg["data_preprocessor"].update(preprocessor)
    return build(cfg).eval()


def batch(*sizes):
    """Images whose pixels tell their channels apart, as a pipeline packs them: BGR."""
    inputs = [
        torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None].expand(3, *size).contiguous()
        for size in sizes
    ]
    samples = [
        DetDataSample(metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0)))
        for size in sizes
    ]
    return dict(inputs=inputs, data_samples=samples)


def recorded(model, data, **options):
    recorder = RainMaskRecorder(model, **options)
    recorder.start()
    with torch.no_grad():
        model.test_step(data)
    recorder.stop()
    return recorder.take()


def masks_of(model, data):
    inputs = model.data_preprocessor(copy.deepcopy(data), False)["inputs"]
    with torch.no_grad():
        return [mask[:, 0].numpy() for mask in model.neck.rain_masks(model.backbone(inputs))]


def test_records_the_necks_own_masks():
    model, data = detector(), batch((64, 96), (64, 96))
    seen = recorded(model, data)
    for number, image in enumerate(seen):
        assert image.strides == (8, 16, 32)
        for mask, expected in zip(image.masks, masks_of(model, data), strict=True):
            np.testing.assert_allclose(mask, expected[number], atol=1e-6)
        assert tuple(image.image[0, 0]) == (30, 20, 10)
    assert len(seen) == 2


def test_cuts_off_the_padding_of_the_batch():
    model, data = detector(pad_size_divisor=32), batch((64, 96), (37, 53))
    whole, small = recorded(model, data)
    assert [mask.shape for mask in whole.masks] == [(8, 12), (4, 6), (2, 3)]
    assert [mask.shape for mask in small.masks] == [(37, 53)] * 3
    assert small.image.shape == (37, 53, 3)
    assert small.strides == whole.strides == (8, 16, 32)
    padded = masks_of(model, data)[0][1]
    np.testing.assert_allclose(small.masks[0][::8, ::8], padded[:5, :7], atol=1e-6)


def test_follows_a_resized_batch():
    model = detector(batch_augments=[dict(type="BatchRandomResize", sizes=[(128, 128)])]).train()
    recorder = RainMaskRecorder(model)
    recorder.start()
    data = model.data_preprocessor(batch((64, 96), (64, 48)), True)
    model.extract_feat(data["inputs"])
    whole, half = recorder.take()
    assert whole.image.shape == (64, 96, 3)
    assert whole.masks[0].shape == (16, 16)
    assert half.masks[0].shape == (128, 64)


def test_takes_float_images_and_only_so_many():
    data = batch((64, 64), (64, 64), (64, 64))
    data["inputs"] = [image.float() - 20 + 250 * (i == 1) for i, image in enumerate(data["inputs"])]
    seen = recorded(detector(), data, num_images=2)
    assert [tuple(one.image[0, 0]) for one in seen] == [(10, 0, 0), (255, 250, 240)]


def test_listens_between_start_and_stop_only():
    model, data = detector(), batch((64, 64))
    recorder = RainMaskRecorder(model)
    model.test_step(data)
    assert recorder.take() == []
    recorder.start()
    recorder.start()
    model.test_step(data)
    recorder.stop()
    assert len(recorder.take()) == 1
    assert recorder.take() == []
    model.test_step(data)
    assert recorder.take() == []
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_knows_the_weights_at_the_start():
    model, data = detector(), batch((64, 64))
    first = recorded(model, data)[0].masks[0]
    with torch.no_grad():
        model.neck.derain.blocks[0].mask[-2].bias.fill_(9)
    assert recorded(model, data)[0].masks[0].min() > first.max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_survive_autocast(dtype):
    """Casts of weights that autocast keeps must not be those of a pass without gradients."""
    model = detector().train()
    recorder = RainMaskRecorder(model)
    feats = [torch.randn(1, c, 4, 4) for c in (16, 24, 32)]
    recorder.start()
    with torch.autocast("cpu", dtype):
        outs = model.neck.derain(feats)
    sum(out.float().square().sum() for out in outs).backward()
    assert all(block.expand.weight.grad.abs().sum() > 0 for block in model.neck.derain.blocks)
    assert all(mask.dtype == torch.float32 for mask in recorder._masks)


def test_looks_inside_ddp(monkeypatch):
    model = detector()
    wrapper = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapper)  # its own needs a process group
    wrapper.module = model
    recorder = RainMaskRecorder(wrapper)
    recorder.start()
    model.test_step(batch((64, 64)))
    assert len(recorder.take()) == 1


def test_refuses_a_detector_without_derain_neck():
    with pytest.raises(ValueError, match="RTDETR has no DerainNeck"):
        RainMaskRecorder(build(tiny_rtdetr_cfg()))


def resized_sample(**meta):
    return DetDataSample(metainfo=dict(ori_shape=(30, 40), **meta))


@pytest.mark.parametrize(
    ("scale", "expected"), [((2.0, 2.0), (60, 80)), ((1.6, 64 / 30), (64, 64)), (None, (30, 40))]
)
def test_file_area_is_what_the_resized_file_fills(scale, expected):
    meta = {} if scale is None else dict(scale_factor=scale)
    assert file_area(resized_sample(img_shape=(96, 96), **meta)) == expected


def test_padding_is_taken_off_images_and_masks():
    mask = np.zeros((4, 4), np.float32)
    mask[:2, :2] = 1  # the upper left quarter of 64 x 64 px
    image = np.zeros((64, 64, 3), np.uint8)
    padded = MaskedImage(image, (mask,), (16,), resized_sample(scale_factor=(1.0, 1.0)))
    seen = crop_to_file(padded)
    assert seen.image.shape == (30, 40, 3)
    np.testing.assert_array_equal(seen.masks[0][0], [1.0] * 32 + [0.0] * 8)
    assert seen.masks[0].shape == (30, 40)
    assert seen.strides == (16,)

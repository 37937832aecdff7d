"""Models in 16-bit floats on a CPU: torch's grid_sample reads past what its offsets hold."""

import warnings

import pytest
import torch
from tiny_rtdetr import TINY, build, tiny_rtdetr_cfg, transformers_twin

from derain_plugin import create_feature_derain_rtdetr

RIGHT, WRONG = (256, 256), (256, 288)  # 32 x 32 and 32 x 36 cells, of 32 channels
HALVES = [torch.bfloat16, torch.float16]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain")
    transformers_twin(num_classes=2, **TINY).save_pretrained(path)
    return str(path)


def images(size, dtype):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(dtype)


@torch.no_grad()
def told(model, *inputs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model(*inputs)
    return [str(item.message) for item in caught if item.category is RuntimeWarning]


@pytest.mark.parametrize("dtype", HALVES)
def test_the_first_forward_of_a_transformers_model_says_so(folder, dtype):
    model = create_feature_derain_rtdetr(folder).to(dtype)
    assert not told(model, images(RIGHT, dtype))
    (message,) = told(model, images(WRONG, dtype))
    assert str(dtype).removeprefix("torch.") in message
    assert "torch.autocast('cpu', dtype=torch.bfloat16)" in message
    assert not told(model, images(WRONG, dtype))


@torch.no_grad()
def test_what_it_advises_is_right_and_quiet(folder):
    model = create_feature_derain_rtdetr(folder)
    assert not told(model, images(WRONG, torch.float32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not told(model, images(WRONG, torch.float32))
        assert model(images(WRONG, torch.float32)).pred_boxes.isfinite().all()


@pytest.mark.parametrize("dtype", HALVES)
def test_the_mmdet_head_says_so_too(dtype):
    head = build(tiny_rtdetr_cfg()).bbox_head.to(dtype).eval()
    maps = [torch.rand(1, 32, 32 // 2**i, 36 // 2**i).to(dtype) for i in range(3)]
    assert len(told(head, maps)) == 1


@pytest.mark.parametrize(("width", "is_right"), [(32, True), (36, False)])
@pytest.mark.parametrize("dtype", HALVES)
def test_torch_still_does_it(dtype, width, is_right):
    """If this fails, torch has mended it and the warning can go."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 32 * width, 32, generator=generator).to(dtype)
    value = values.transpose(1, 2).reshape(2, 16, 32, width)
    grid = (torch.rand(2, 50, 4, 2, generator=generator) * 2 - 1).to(dtype)
    sampled = torch.nn.functional.grid_sample(value, grid, align_corners=False).float()
    expected = torch.nn.functional.grid_sample(value.float(), grid.float(), align_corners=False)
    assert (bool((sampled - expected).abs().max() < 1)) == is_right

"""A whole detector in fp16, bf16 and compiled, beside itself in fp32."""

import os

import pytest
import torch
from forked import run_forked
from fp16_on_cpu import fp16_on_cpu
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from tiny_rtdetr import FAMILY, build, data_samples, tiny_rtdetr_cfg

from derain_plugin.engine.optim_wrappers import BF16OptimWrapper

# docs/survives.md: 500 iterations, and all three generations compiled, take five minutes.
ITERATIONS = int(os.environ.get("PRECISION_ITERATIONS", "100"))
COMPILED = list(FAMILY) if "PRECISION_ITERATIONS" in os.environ else ["r18"]


def derained(arch="r18", **overrides):
    cfg = tiny_rtdetr_cfg(arch=arch, **overrides)
    derain = dict(type="MultiScaleFeatureDerain", in_channels=(16, 24, 32))
    cfg["neck"] = dict(type="DerainNeck", derain=derain, neck=cfg["neck"])
    torch.manual_seed(0)
    return build(cfg)


def learn_by_heart(wrapper_cls):
    """Train on two images; the loss of each iteration."""
    torch.manual_seed(0)
    model = derained(num_queries=10, num_denoising=4, decoder_layers=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    wrapper = wrapper_cls(optimizer=optimizer, clip_grad=dict(max_norm=0.1))
    images, samples = torch.rand(2, 3, 64, 64), data_samples([2, 1], (64, 64))
    losses = []
    for _ in range(ITERATIONS):
        with wrapper.optim_context(model):
            loss, _ = model.parse_losses(model(images, samples, mode="loss"))
        wrapper.update_params(loss)
        losses.append(loss.item())
    return torch.tensor(losses)


@pytest.fixture(scope="module")
def fp32():
    return learn_by_heart(OptimWrapper)


@pytest.mark.slow
@pytest.mark.parametrize("wrapper", [BF16OptimWrapper, AmpOptimWrapper])
def test_half_precision_learns_as_well(wrapper, fp32):
    with fp16_on_cpu():
        losses = learn_by_heart(wrapper)
    assert losses.isfinite().all()
    assert not torch.equal(losses, fp32)
    start, end, end_of_fp32 = losses[0], losses[-50:].mean(), fp32[-50:].mean()
    assert end < 0.7 * start
    assert end == pytest.approx(end_of_fp32, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("arch", COMPILED)
def test_compiled_outputs_are_the_same(arch):
    run_forked(compare_compiled, arch)  # the compiler's threads are not left to later tests


def compare_compiled(arch):
    model = derained(arch, decoder_layers=1).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(images, mode="tensor")
        found = torch.compile(model)(images, mode="tensor")
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)

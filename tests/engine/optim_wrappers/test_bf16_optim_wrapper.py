from contextlib import contextmanager

import pytest
import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from derain_plugin.engine.optim_wrappers import BF16OptimWrapper


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))


def make_wrapper(model: nn.Module, cls: type = BF16OptimWrapper, **kwargs) -> OptimWrapper:
    return cls(optimizer=torch.optim.AdamW(model.parameters(), lr=0.1), **kwargs)


def step(model: nn.Module, wrapper: OptimWrapper, images: torch.Tensor) -> torch.Tensor:
    with wrapper.optim_context(model):
        output = model(images)
    wrapper.update_params(output.float().square().mean())
    return output


def test_forward_is_bf16_and_the_rest_fp32():
    model = make_model()
    wrapper = make_wrapper(model)
    wrapper.zero_grad = lambda **_: None
    assert step(model, wrapper, torch.rand(4, 8)).dtype == torch.bfloat16
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model(torch.rand(4, 8)).dtype == torch.float32


def test_learns():
    model, images = make_model(), torch.rand(16, 8)
    wrapper = make_wrapper(model)
    losses = [step(model, wrapper, images).float().square().mean() for _ in range(20)]
    assert losses[-1] < 0.3 * losses[0]


def test_accumulation_steps_at_every_second_call():
    model = make_model()
    wrapper = make_wrapper(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    before = model[0].weight.detach().clone()
    step(model, wrapper, torch.rand(4, 8))
    assert torch.equal(model[0].weight, before)
    step(model, wrapper, torch.rand(4, 8))
    assert not torch.equal(model[0].weight, before)


def test_gradients_are_not_synchronised_while_they_accumulate():
    model = make_model()
    entered = []

    @contextmanager
    def no_sync():
        entered.append(True)
        yield

    model.no_sync = no_sync
    wrapper = make_wrapper(model, accumulative_counts=2)
    for _ in range(2):
        step(model, wrapper, torch.rand(4, 8))
    assert len(entered) == 1


def test_gradients_are_clipped():
    model = make_model()
    wrapper = make_wrapper(model, clip_grad=dict(max_norm=1e-3))
    wrapper.zero_grad = lambda **_: None
    step(model, wrapper, 100 * torch.rand(4, 8))
    norm = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
    assert norm == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("source", [OptimWrapper, BF16OptimWrapper, "AmpOptimWrapper"])
def test_state_is_that_of_optim_wrapper(source):
    model = make_model()
    trained = make_wrapper(model, OptimWrapper if source == "AmpOptimWrapper" else source)
    step(model, trained, torch.rand(4, 8))
    state = trained.state_dict()
    if source == "AmpOptimWrapper":
        state["loss_scaler"] = dict(scale=65536.0)
    resumed = make_wrapper(make_model())
    resumed.load_state_dict(state)
    plain = make_wrapper(make_model(), OptimWrapper)
    assert resumed.state_dict().keys() == plain.state_dict().keys()
    moments, expected = (w.optimizer.state_dict()["state"][0] for w in (resumed, trained))
    assert torch.equal(moments["exp_avg"], expected["exp_avg"])


@pytest.mark.parametrize("name", ["BF16OptimWrapper", "mmdet.BF16OptimWrapper"])
def test_builds_from_a_config(name):
    assert OPTIM_WRAPPERS.get(name) is BF16OptimWrapper
    cfg = dict(type="mmdet.BF16OptimWrapper", optimizer=dict(type="AdamW", lr=0.1))
    assert isinstance(build_optim_wrapper(make_model(), cfg), BF16OptimWrapper)

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from derain_plugin.models.layers.pointwise_conv import PointwiseConv2d

SHAPE = 3, 6, 5, 7


@pytest.fixture
def layer(request):
    torch.manual_seed(0)
    return PointwiseConv2d(6, 4, bias=getattr(request, "param", True)).double()


def draw(requires_grad=False):
    return torch.randn(SHAPE, dtype=torch.double, requires_grad=requires_grad)


@pytest.mark.parametrize("layer", [False, True], indirect=True, ids=["plain", "bias"])
def test_values_and_gradients_are_those_of_the_convolution(layer):
    inputs = draw(requires_grad=True), *layer.parameters()
    found = layer(inputs[0])
    expected = conv2d(inputs[0], layer.weight, layer.bias)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_plain_map_is_multiplied_and_any_other_convolved(layer, monkeypatch):
    calls = []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda _, x: calls.append(x.stride()) or x)
    x = draw()
    layer(x)
    assert calls == []
    others = x.to(memory_format=torch.channels_last), x[:, :, :3, :4]
    for other in others:
        layer(other)
    assert calls == [other.stride() for other in others]


def test_an_exported_graph_has_the_convolution(layer):
    graph = torch.export.export(layer, (draw(),)).graph
    assert [str(node.target) for node in graph.nodes if node.op == "call_function"] == [
        "aten.conv2d.default"
    ]


def test_it_is_a_conv2d_for_checkpoints_and_what_goes_by_type(layer):
    conv = nn.Conv2d(6, 4, 1).double()
    conv.load_state_dict(layer.state_dict())
    x = draw()
    torch.testing.assert_close(layer(x), conv(x))
    assert isinstance(layer, nn.Conv2d)


def test_autocast_computes_in_few_bits():
    layer = PointwiseConv2d(6, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(torch.randn(SHAPE))
    assert found.dtype == torch.bfloat16

import pytest
import torch
from torch import nn

from projects.benchmark.resources import (
    count_flops,
    count_parameters,
    peak_bytes,
    weight_bytes,
)

CPU = torch.device("cpu")
MEBI = 2**20


def test_counts_frozen_parameters_too():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    assert count_parameters(model) == 16 + 10


def test_weights_include_buffers():
    assert weight_bytes(nn.BatchNorm2d(5)) == 4 * 5 * 4 + 8


def test_two_flops_for_a_multiply_add():
    layer, x = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.zeros(1, 3, 7, 9)
    assert count_flops(lambda: layer(x)) == 2 * 7 * 9 * 3 * 5 * 9


@pytest.mark.parametrize("kept", [True, False])
def test_peak_counts_what_lives_at_once(kept):
    x = torch.zeros(MEBI // 4)  # 1 MiB

    def run():
        first = x + 1
        if not kept:
            del first
        second = x + 2
        return second + 0  # 2 or 3 MiB at once

    expected = 3 if kept else 2
    assert peak_bytes(run, CPU) == pytest.approx(expected * MEBI, rel=0.01)


def test_peak_sees_inside_operators():
    x = torch.zeros(1, 1, 512, 512)
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")  # pads into a copy

    def run():
        with torch.no_grad():
            return layer(x)

    assert peak_bytes(run, CPU) >= 2 * MEBI * 0.99


def test_nothing_allocated():
    assert peak_bytes(lambda: None, CPU) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_peak_on_cuda():
    x = torch.zeros(MEBI, device="cuda")
    assert peak_bytes(lambda: (x + 1) + 1, torch.device("cuda")) == 8 * MEBI

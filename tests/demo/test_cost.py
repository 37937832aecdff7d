import time

from torch import nn

from derain_plugin.demo.cost import count_parameters, median_times


def test_counts_frozen_parameters_too():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    assert count_parameters(model) == 16 + 10


def test_times_in_turns_and_ignores_outliers():
    calls = []

    def run(name, milliseconds):
        calls.append(name)
        outlier = calls.count(name) == 4
        time.sleep(milliseconds / 1000 + 0.2 * outlier)

    fast, slow = median_times([lambda: run("fast", 2), lambda: run("slow", 20)], rounds=5)
    assert calls == ["fast", "slow"] * 7
    assert fast < slow < 200

"""The share of a neck is measured against the detector without it."""

import time

import pytest

from projects.benchmark.arm import Arm
from projects.benchmark.neck_share import measure_inside
from projects.benchmark.setting import Setting

TINY = Setting(size=64)


@pytest.mark.parametrize("name", ["ms", "lite"])
def test_inside_is_the_time_of_the_neck_alone(configs, name, monkeypatch):
    slow = Arm(configs[name], TINY)
    module = slow._part.module
    forward = module.forward
    monkeypatch.setattr("projects.benchmark.neck_share.Arm", lambda *_: slow)
    monkeypatch.setattr(module, "forward", lambda feats: time.sleep(0.05) or forward(feats))
    found = measure_inside(configs[name], TINY, rounds=4, seconds=60)
    assert found["ms"] >= 50
    assert found["rounds"] == 4
    low, high = found["share_interval"]
    assert low <= found["share"] <= high
    assert not module._forward_hooks
    assert not module._forward_pre_hooks

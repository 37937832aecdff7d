import json

import pytest
from mmengine.config import Config
from tiny_rtdetr import tiny_rtdetr_cfg

from projects.study import latency
from projects.study.arms import Arm

WIDTHS = [16, 24, 32]


@pytest.fixture
def configs():
    """A plain detector, another training of it, and one with a neck and a teacher."""
    plain = tiny_rtdetr_cfg()
    neck = dict(type="MultiScaleFeatureDerain", in_channels=WIDTHS)
    supervised = dict(
        plain,
        type="TwinSupervisedRTDETR",
        consistency_weight=1.0,
        neck=dict(type="DerainNeck", derain=neck, neck=plain["neck"]),
    )
    configs = {}
    for name, model in dict(rtdetr=plain, mix=plain, neck=supervised).items():
        configs[name] = Config(dict(model=model, image_size=64))
    return configs


def test_arms_of_one_network_are_timed_once(configs):
    found = latency.measure_latency(configs, rounds=3)
    plain, mix, neck = (found["arms"][name] for name in configs)
    assert found["size"] == 64
    assert plain == mix
    assert plain["relative"] == 1
    assert neck["ms"] != plain["ms"]
    assert neck["relative"] == pytest.approx(neck["ms"] / plain["ms"], rel=1e-3)


def test_command_times_the_arms_of_a_family(configs, tmp_path, monkeypatch):
    arms = [Arm(f"the {name}", name, name) for name in ("rtdetr", "mix")]
    monkeypatch.setattr(latency, "ARMS", arms)
    monkeypatch.setattr(latency, "arm_config", lambda family, name: configs[name])
    latency.main(["--family", "coco", "--out", str(tmp_path / "out/latency.json")])
    found = json.loads((tmp_path / "out/latency.json").read_text())
    assert list(found["arms"]) == ["the rtdetr", "the mix"]
    assert "hardware" in found

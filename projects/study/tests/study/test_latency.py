import json

import pytest
from tiny_rtdetr import tiny_rtdetr_cfg

from projects.study import latency
from projects.study.arms import Arm

WIDTHS = [16, 24, 32]


@pytest.fixture
def configs(tmp_path):
    """A plain detector, another training of it, and one with a neck and a teacher."""
    plain = tiny_rtdetr_cfg()
    neck = dict(type="MultiScaleFeatureDerain", in_channels=WIDTHS)
    supervised = dict(
        plain,
        type="TwinSupervisedRTDETR",
        consistency_weight=1.0,
        neck=dict(type="DerainNeck", derain=neck, neck=plain["neck"]),
    )
    for name, model in dict(rtdetr=plain, mix=plain, neck=supervised).items():
        (tmp_path / f"study_{name}.py").write_text(f"model = {model!r}\nimage_size = 64\n")
    return {name: tmp_path / f"study_{name}.py" for name in ("rtdetr", "mix", "neck")}


def test_arms_of_one_network_are_timed_once(configs):
    found = latency.measure_latency(configs, rounds=3)
    plain, mix, neck = (found["arms"][name] for name in configs)
    assert found["size"] == 64
    assert plain == mix
    assert plain["relative"] == 1
    assert neck["ms"] != plain["ms"]
    assert neck["relative"] == pytest.approx(neck["ms"] / plain["ms"], rel=1e-3)


def test_command_times_the_arms_that_have_a_config(configs, tmp_path, monkeypatch):
    arms = [Arm(name, name, name) for name in ("rtdetr", "mix", "unwritten")]
    monkeypatch.setattr(latency, "ARMS", arms)
    latency.main(["--configs", str(tmp_path), "--out", str(tmp_path / "out/latency.json")])
    found = json.loads((tmp_path / "out/latency.json").read_text())
    assert list(found["arms"]) == ["rtdetr", "mix"]
    assert "hardware" in found


def test_no_config_at_all(tmp_path):
    with pytest.raises(SystemExit, match=r"no config of an arm like .*study_\*.py"):
        latency.main(["--configs", str(tmp_path), "--out", str(tmp_path / "latency.json")])

import json

import pytest
import torch
from mmdet.registry import MODELS
from study_records import PlannedArm
from tiny_rtdetr import TINY, tiny_rtdetr_cfg
from torch.nn.functional import adaptive_avg_pool2d

from derain_plugin import load_config
from projects.study import diagnosis
from projects.study.report_tables import diagnosis_table


@pytest.fixture(scope="module")
def derained(tmp_path_factory, coco_root):
    """Config and checkpoint of a detector whose de-rain parts are fresh."""
    folder = tmp_path_factory.mktemp("diagnosis")
    cfg = load_config(
        "configs/rtdetr_r18_featderain_ms.py",
        dict(data_root=str(coco_root), classes=("square", "disc"), image_size=64, load_from=None),
    )
    tiny = tiny_rtdetr_cfg()
    cfg.model.backbone.update(TINY, early_derain=dict(type="EarlyFeatureDerain"))
    cfg.model.neck.neck.update(TINY)
    cfg.model.neck.derain.in_channels = TINY["encoder_in_channels"]
    cfg.model.bbox_head.update(tiny["bbox_head"])
    torch.manual_seed(0)
    checkpoint = folder / "fresh.pth"
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), checkpoint)
    cfg.dump(folder / "cfg.py")
    return folder / "cfg.py", checkpoint


@pytest.fixture(scope="module")
def found(derained):
    config, checkpoint = derained
    return diagnosis.diagnose(load_config(config), str(checkpoint), num_images=4)


def test_a_fresh_neck_moves_nothing(found):
    for severity in diagnosis.SEVERITIES:
        numbers = found[f"severity_{severity}"]
        for level in range(3):
            assert numbers[f"distance {level}"] == numbers[f"distance_before {level}"] > 0
    assert set(found["blend"].values()) == {0.0}
    assert len(found["blend"]) == 5


def test_worse_rain_moves_features_further(found):
    distances = [found[f"severity_{k}"]["distance 0"] for k in diagnosis.SEVERITIES]
    assert distances == sorted(distances)


def test_every_mask_is_judged(found):
    numbers = found["severity_5"]
    masks = {"stem", "stage1", "gate", "level 0", "level 1", "level 2"}
    assert {key.removeprefix("rainy ") for key in numbers if key.startswith("rainy ")} == masks
    assert numbers["rainy gate"] == numbers["clean gate"] == pytest.approx(0.7311, abs=1e-4)
    assert numbers["correlation gate"] is None  # one for a whole image
    assert all(-1 <= numbers[f"correlation {mask}"] <= 1 for mask in masks - {"gate"})


@pytest.mark.parametrize(("gain", "expected"), [(0.5, 1.0), (-0.5, -1.0)])
def test_a_mask_that_is_where_the_streaks_are(gain, expected):
    streaks = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = 0.5 + gain * adaptive_avg_pool2d(streaks, (8, 8))
    assert diagnosis._correlation(mask, streaks) == pytest.approx(expected)


def test_leaves_a_json_that_the_report_shows(derained, tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosis, "IMAGES", 2)
    monkeypatch.setattr(diagnosis.diagnose, "__kwdefaults__", dict(num_images=2))
    config, checkpoint = map(str, derained)
    out = tmp_path / "diagnosis/val_ms.json"
    diagnosis.main([config, checkpoint, "--out", str(out), "--settings", "abc"])
    assert json.loads(out.read_text())["settings"] == "abc"
    arms = [PlannedArm("ms", "multi-scale"), PlannedArm("control", "control")]
    table, note = diagnosis_table(tmp_path, arms, split="val")
    assert "2 images" in note
    header, _, *lines = table.splitlines()
    assert len(lines) == 6
    assert {line.count("|") for line in lines} == {header.count("|")}
    assert lines[0].startswith("| multi-scale | 0.")
    assert diagnosis_table(tmp_path, arms, split="test") == []

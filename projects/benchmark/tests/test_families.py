import json

import pytest
import torch
from mmdet.registry import MODELS
from tiny_rtdetr import TINY_OF, tiny_rtdetr_cfg

from derain_plugin.config import load_config
from derain_plugin.models.rtdetr.config import ARCHITECTURES, rtdetr_config
from derain_plugin.models.rtdetr.family import encoder_channels
from projects.benchmark.cli.benchmark_families import main, report_text
from projects.benchmark.families import NECKS, measure_parity, unsettle, write_config

COST = dict(
    parameters=1_200_000, derain_parameters=60_000, gflops=10.5, derain_gflops=0.5, total_ms=21.4,
    overhead=0.031, derain_ms=0.62, derain_ms_interval=[-0.2, 1.4],
)  # fmt: skip
INSIDE = dict(
    MultiScaleFeatureDerain=dict(share=0.021, share_interval=[0.0204, 0.0216]),
    LightweightFeatureDerain=dict(share=0.009, share_interval=[0.008, 0.01]),
)
EXPORTS = {
    "onnx fp32": dict(
        compared=40,
        matched=39,
        box_difference=0.1,
        score_difference=1e-4,
        share=0.012,
        share_interval=[0.011, 0.013],
    ),
    "openvino int8": dict(refused="it needs something else"),
}
MACHINE = dict(date="2026-01-01", commit="abc", hardware="a CPU", versions="torch 2")


@pytest.mark.parametrize("neck", NECKS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_has_a_config_of_its_own_channels(arch, neck, tmp_path):
    cfg = load_config(write_config(arch, tmp_path, size=320, neck=neck)).model
    assert cfg.neck.derain.type == neck
    parts = cfg.backbone, cfg.neck.neck, cfg.bbox_head
    assert [part.arch for part in parts] == [arch] * 3
    assert cfg.neck.derain.in_channels == list(encoder_channels(rtdetr_config(arch)))


@pytest.fixture(scope="module")
def detector():
    cfg = tiny_rtdetr_cfg(arch="deimv2_s")
    channels = TINY_OF["deimv2_s"]["encoder_in_channels"]
    derain = dict(type="MultiScaleFeatureDerain", in_channels=channels)
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg, neck=dict(type="DerainNeck", derain=derain, neck=cfg["neck"])))
    unsettle(model)
    return model


def test_parity_of_a_fresh_neck_and_none_of_a_trained_one(detector):
    found = measure_parity(detector)
    assert max(found.values()) <= 1e-5
    with torch.no_grad():
        for parameter in detector.neck.derain.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert measure_parity(detector)["boxes"] > 1e-3


def test_unsettled_scores_differ(detector):
    feats = detector.neck(detector.backbone(torch.rand(1, 3, 96, 96)))
    logits = detector.bbox_head(feats)[0]
    assert logits.std(1).min() > 0.05


def test_the_table_names_shares_and_what_was_refused():
    row = dict(
        arch="r18", cost=COST, parity=dict(logits=0.0, boxes=2e-6), exports=EXPORTS, size=640,
        arguments="", inside=INSIDE, **MACHINE,
    )  # fmt: skip
    text = report_text([row, dict(row, arch="r34", inside={}, exports={})])
    first, second = text.splitlines()[2:4]
    cells = "r18", "640", "1.20", "5.0%", "10.5", "5.0%", "21", "3.1% [-1.0, 7.0]"
    cells += "2.1% [2.0, 2.2]", "0.9% [0.8, 1.0]", "2e-06", "39 of 40", "1.2% [1.1, 1.3]"
    assert first == f"| {' | '.join(cells)} | refused | - |"
    assert second.endswith("| 3.1% [-1.0, 7.0] | - | - | 2e-06 | - | - | - | - |")
    assert text.count("commit abc") == 1


def test_what_is_there_is_not_measured_again(tmp_path, capsys):
    row = dict(
        arch="r18", cost=COST, parity=dict(logits=0.0), exports=EXPORTS, size=640, arguments="",
        **MACHINE,
    )  # fmt: skip
    (tmp_path / "r18.json").write_text(json.dumps(row))
    main(["--archs", "r18", "--out", str(tmp_path)])
    assert "is there" in capsys.readouterr().out
    assert "| r18 | 640 | 1.20 |" in (tmp_path / "families.md").read_text()


def test_unknown_architectures_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="unknown r19"):
        main(["--archs", "r19", "--out", str(tmp_path)])

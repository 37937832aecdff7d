"""Python in the README and the pages: configs load with their phases, the rest runs."""

import pytest
from documentation import ROOT, find_blocks
from mmdet.registry import MODELS

from derain_plugin import load_config
from derain_plugin.engine.hooks.phase import check_patterns, parse_phases

BLOCKS = find_blocks("python")


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_it_is_python(block):
    compile(block.code, str(block), "exec")
    assert set(block.marks) <= {"config", "needs", "tested"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.runs], ids=str)
def test_it_runs(block):
    exec(compile(block.code, str(block), "exec"), {})


@pytest.fixture(scope="module")
def parameters():
    """Names of the parameters of the detector that has every part a phase may name."""
    cfg = load_config(ROOT / "configs/rtdetr_r18_featderain_ms.py")
    early = dict(cfg.model.backbone, early_derain=dict(type="EarlyFeatureDerain"))
    in_front = dict(type="ImageFilter")
    cfg.model.backbone = dict(type="FilteredBackbone", backbone=early, image_filter=in_front)
    return [name for name, _ in MODELS.build(cfg.model).named_parameters()]


@pytest.mark.parametrize("block", [b for b in BLOCKS if "config" in b.marks], ids=str)
def test_it_is_a_config(block, tmp_path, parameters):
    code = block.code.replace("path/to/derain_plugin/", f"{ROOT}/")
    if base := block.marks["config"]:
        code = f'_base_ = "{ROOT / base}"\n{code}'
    path = tmp_path / "child.py"
    path.write_text(code)
    cfg = load_config(path)
    if "phases" in cfg:
        phases = parse_phases(cfg.phases)
        assert cfg.default_hooks.phases.type == "PhasedTrainingHook"
        assert phases[-1].last_epoch in (None, cfg.train_cfg.max_epochs)
        check_patterns(phases, trainable=parameters, every=parameters)

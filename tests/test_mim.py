"""What is shipped, under the names that OpenMMLab's tools use."""

import json
import os
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.fileio import load

from derain_plugin import load_config, mim

ROOT = Path(__file__).parents[1]
SHIPPED = [
    model
    for index in load(mim.MIM / "model-index.yml")["Import"]
    for model in load(mim.MIM / index)["Models"]
]
OURS = {*ROOT.glob("configs/*.py"), *ROOT.glob("configs/mmdet/*.py")}
OURS -= {ROOT / "configs/spdnet_rain.py"}  # no detector


def test_every_detector_has_an_entry():
    paths = {(mim.MIM / model["Config"]).resolve() for model in SHIPPED}
    assert paths == {path.resolve() for path in OURS}
    for model in SHIPPED:
        assert model["Name"] == Path(model["Config"]).stem


def test_ships_every_config_and_nothing_else():
    paths = [path for path in ROOT.glob("configs/**/*") if path.suffix in (".py", ".yml")]
    ours = {path.relative_to(ROOT / "configs").as_posix() for path in paths}
    models = {name for name in ours if "/" not in name or name.startswith("_base_/")}
    found = {
        os.path.relpath(Path(folder, name), mim.CONFIGS)
        for folder, _, files in os.walk(mim.CONFIGS, followlinks=True)
        for name in files
        if "__pycache__" not in folder
    }
    assert found == {name for name in ours if "/" in name} | {f"rtdetr/{name}" for name in models}


def test_figures_are_those_that_the_benchmark_counted():
    report = json.loads(
        (ROOT / "projects/benchmark/results/benchmark/cpu_fp32_640px_batch1.json").read_text()
    )
    counted = {row["config"]: row["parameters"] for row in report["inference"]}
    entries = {model["Name"]: model["Metadata"] for model in SHIPPED}
    stated = {name: meta["Parameters"] for name, meta in entries.items() if "Parameters" in meta}
    assert stated == counted
    assert all("Results" not in model for model in SHIPPED), "measured by which command?"


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: model["Name"])
def test_metadata_is_that_of_the_config(model):
    name = "derain_plugin::" + model["Config"].removeprefix("configs/")
    cfg = load_config(name)
    assert cfg.to_dict() == load_config(mim.MIM / model["Config"]).to_dict()
    assert cfg.train_cfg.max_epochs == model["Metadata"]["Epochs"]
    assert model.get("Weights", cfg.load_from) == cfg.load_from
    collections = [c["Name"] for path in ("", "mmdet/") for c in collections_of(path)]
    assert model["In Collection"] in collections


def collections_of(folder: str) -> list[dict]:
    return load(ROOT / f"configs/{folder}metafile.yml")["Collections"]


def test_inheriting_changes_nothing(tmp_path):
    path = tmp_path / "child.py"
    path.write_text("_base_ = 'derain_plugin::rtdetr/rtdetr_r18_featderain_ms.py'\n")
    original = load_config(ROOT / "configs/rtdetr_r18_featderain_ms.py")
    assert load_config(path).to_dict() == original.to_dict()


@pytest.mark.parametrize(
    "kind", ["rtdetr/rtdetr_r18_featderain_ms", "mmdet/rtmdet_s_featderain_ms"]
)
def test_a_config_elsewhere_inherits_ours(kind, tmp_path):
    path = tmp_path / "child.py"
    path.write_text(f"_base_ = 'derain_plugin::{kind}.py'\ndata_root = '/a/'\nclasses = ('car',)\n")
    cfg = load_config(path)
    assert cfg.train_dataloader.dataset.clean.ann_file.startswith("/a/")
    assert cfg.model.bbox_head.num_classes == 1
    assert Config.fromfile(path).custom_imports.imports[0] == "derain_plugin"


def test_a_name_that_is_not_shipped_says_which_are():
    with pytest.raises(
        FileNotFoundError, match=r"rtdetr/r18.py is not shipped.*rtdetr_r18_coco.py"
    ):
        load_config("derain_plugin::rtdetr/r18.py")
    with pytest.raises(
        FileNotFoundError, match=r"The folders are _base_, conditions, mmdet, rtdetr"
    ):
        load_config("derain_plugin::rt/r18.py")


def test_models_by_name():
    config, weights = mim.find_model("rtdetr_r18_coco")
    assert Path(config).name == "rtdetr_r18_coco.py"
    assert weights == "hf://PekingU/rtdetr_r18vd"
    assert mim.find_model("rtdetr_r18_featderain_ms")[1] is None
    with pytest.raises(ValueError, match=r"no model 'rtdetr' here.*rtdetr_r18_featderain_ms"):
        mim.find_model("rtdetr")

"""Our configs under mmengine's and mmdet's own tools, which do not know ``load_config``."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from derain_plugin import load_config
from derain_plugin.config.settings import unfilled_settings

CONFIGS = Path(__file__).parents[2] / "configs"
TOY = CONFIGS.parent / "projects/study/configs/toy/toy_featderain_ms.py"
QUICK = {
    "train_dataloader.num_workers": 0,
    "train_dataloader.persistent_workers": False,
    "val_dataloader.num_workers": 0,
    "val_dataloader.persistent_workers": False,
    "test_dataloader.num_workers": 0,
    "test_dataloader.persistent_workers": False,
    "load_from": None,
    "visualizer.vis_backends": [],
}


@pytest.fixture
def settings(coco_root):
    return dict(
        data_root=str(coco_root),
        classes=("square", "disc"),
        synthetic_rain=3,
        image_size=96,
        percent=40,
    )


def as_mmdet_reads(path, options, folder):
    """As the head of mmdet's ``tools/train.py``."""
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(options)
    cfg.work_dir = str(folder)
    return cfg


def as_child(settings, folder):
    path = folder / "child.py"
    lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
    path.write_text(f"_base_ = {str(TOY)!r}\n{''.join(lines)}")
    return path


@pytest.mark.parametrize("origin", ["options", "child"])
def test_mmdets_tools_fill_settings_in(origin, settings, tmp_path):
    if origin == "child":
        cfg = as_mmdet_reads(as_child(settings, tmp_path), QUICK, tmp_path)
    else:
        cfg = as_mmdet_reads(TOY, {**QUICK, **settings}, tmp_path)
    runner = RUNNERS.build(cfg)
    dataset = runner.build_dataloader(runner._train_dataloader).dataset
    expected = load_config(TOY, {**QUICK, **settings})
    assert runner.cfg.train_dataloader == expected.train_dataloader
    assert len(dataset) == 4  # of 10 images
    assert dataset.metainfo["classes"] == ("square", "disc")
    assert runner.model.bbox_head.num_classes == 2
    assert Config.fromfile(tmp_path / cfg.filename.split("/")[-1]).settings.percent.filled == 40


@pytest.mark.parametrize("name", ["percent", "synthetic_rain", "data_root", "classes"])
def test_mmengines_runner_refuses_what_it_cannot_fill_in(name, settings, tmp_path):
    value = settings.pop(name)
    cfg = load_config(TOY, {**QUICK, **settings})
    cfg.merge_from_dict({name: value, "work_dir": str(tmp_path)})
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match=rf"sets {name}=.*still hold .*derain_plugin.load_config"):
        runner.call_hook("before_run")


def test_mmengines_runner_takes_what_load_config_fills_in(settings, tmp_path):
    cfg = load_config(TOY, {**QUICK, **settings, "work_dir": str(tmp_path)})
    Runner.from_cfg(cfg).call_hook("before_run")


def test_mmengines_runner_takes_the_defaults_of_a_config(tmp_path):
    cfg = as_mmdet_reads(CONFIGS / "rtdetr_r18_featderain_ms.py", QUICK, tmp_path)
    assert cfg.default_hooks.settings.type == "SettingsHook"
    assert unfilled_settings(cfg) == {}

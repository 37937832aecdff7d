from pathlib import Path

import pytest
from mmdet.registry import DATASETS, EVALUATOR
from mmengine.config import Config

from derain_plugin.config import load_config
from derain_plugin.config.conditions import use_conditions

CONFIGS = Path(__file__).parents[2] / "configs"
CONDITIONS = sorted(CONFIGS.glob("conditions/*.py"))
MS = CONFIGS / "rtdetr_r18_featderain_ms.py"


def combined(name: str, **options) -> Config:
    cfg = load_config(MS, dict(data_root="/a/", classes=("car", "bus"), image_size=320))
    use_conditions(cfg, CONFIGS / f"conditions/{name}.py", options)
    return cfg


def images(cfg: Config) -> list[str]:
    return [dataset.data_prefix.img for dataset in cfg.test_dataloader.dataset.datasets]


@pytest.mark.parametrize("path", CONDITIONS, ids=lambda path: path.stem)
def test_settings_of_the_model_reach_the_conditions(path):
    cfg = combined(path.stem)
    for dataset in cfg.test_dataloader.dataset.datasets:
        assert dataset.metainfo.classes == ("car", "bus")
        assert [s.scale for s in dataset.pipeline if s.type == "Resize"] == [(320, 320)]
    assert images(cfg)[0].startswith("/a/")
    datasets, metrics = cfg.test_dataloader.dataset.datasets, cfg.test_evaluator.metrics
    assert [d.ann_file for d in datasets] == [m.ann_file for m in metrics]
    assert len(metrics) == len(cfg.test_evaluator.dataset_prefixes)
    for metric in metrics:
        metric.ann_file = None  # which would be read
    EVALUATOR.build(cfg.test_evaluator)


@pytest.mark.parametrize(
    ("name", "default", "given"),
    [
        ("rainy_copy", ["data/coco_rain/val2017/"], ["/r/val2017/"]),
        ("real_rain", ["data/real_rain/images/"], ["/r/images/"]),
        (
            "severity_folders",
            [f"data/coco_severities/severity_{k}/" for k in (1, 2, 3, 4, 5)],
            [f"/r/severity_{k}/" for k in (1, 2, 3, 4, 5)],
        ),
    ],
)
def test_rainy_images_come_from_the_conditions_or_the_command_line(name, default, given):
    assert images(combined(name))[1:] == default
    assert images(combined(name, rainy_root="/r"))[1:] == given


def test_model_and_training_stay():
    before = load_config(MS, dict(data_root="/a/", classes=("car", "bus"), image_size=320))
    after = combined("real_rain")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"test_dataloader", "test_evaluator"}
    assert set(before) == set(after)


def test_options_reach_the_new_test_data():
    cfg = combined("real_rain", **{"test_dataloader.batch_size": 3})
    assert cfg.test_dataloader.batch_size == 3


def test_real_rain_is_not_compared_with_other_images():
    assert combined("real_rain").test_evaluator.rainy_prefixes == []


def test_severity_folders_hold_the_images_of_the_annotations(coco_root, tmp_path):
    for severity in (1, 2, 3, 4, 5):
        (tmp_path / f"severity_{severity}").symlink_to(coco_root / "val2017")
    cfg = load_config(MS, dict(data_root=str(coco_root), classes=("square", "disc")))
    conditions = CONFIGS / "conditions/severity_folders.py"
    use_conditions(cfg, conditions, dict(rainy_root=str(tmp_path)))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == 60
    assert str(tmp_path / "severity_5") in dataset[59]["data_samples"].img_path


def test_a_config_without_the_settings_is_refused():
    with pytest.raises(ValueError, match="take data_root, classes, image_size from the model's"):
        use_conditions(Config(dict(model={})), CONDITIONS[0])


@pytest.mark.parametrize("path", CONDITIONS, ids=lambda path: path.stem)
def test_images_are_prepared_as_the_models_config_does(path):
    cfg = load_config(CONFIGS / "mmdet/rtmdet_s_featderain_ms.py")
    load, *rest = cfg.test_dataloader.dataset.datasets[0].pipeline
    assert "Pad" in [step.type for step in rest]
    use_conditions(cfg, path)
    clean, *rainy = cfg.test_dataloader.dataset.datasets
    assert clean.pipeline == [load, *rest]
    rain = [dict(type="HeldOutRain", seed=0)] if path.stem == "held_out_rain" else []
    for dataset in rainy:
        assert dataset.pipeline == [load, *rain, *rest]


def test_rain_that_is_prepared_otherwise_is_refused(tmp_path):
    path = tmp_path / "conditions.py"
    path.write_text(
        f"_base_ = {str(CONFIGS / 'conditions/rainy_copy.py')!r}\n"
        "clean, rainy = _base_.val_dataloader.dataset.datasets\n"
        "rainy = dict(rainy, pipeline=rainy['pipeline'][:1] + rainy['pipeline'][2:])\n"
        "test_dataloader = dict(dataset=dict(datasets=[clean, rainy]))\n"
        "del clean, rainy\n"
    )
    with pytest.raises(ValueError, match=r"which is not .* with or without rain"):
        use_conditions(load_config(MS), path)

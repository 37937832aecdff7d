"""The configs that train restorers."""

from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config

from derain_plugin import load_config
from derain_plugin.models import SupervisedRestorer

ROOT = Path(__file__).parents[2]
SPDNET = ROOT / "configs/spdnet_rain.py"
TOY = ROOT / "projects/study/configs/toy/toy_spdnet_rain.py"


def datasets_of(cfg):
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    return [train, val, *cfg.test_dataloader.dataset.datasets]


def rain_in(dataset):
    (rain,) = (step for step in dataset.pipeline if step.type == "RainPair")
    return rain.severity, rain.get("seed")


@pytest.mark.parametrize("path", [SPDNET, TOY], ids=lambda path: path.stem)
def test_trains_on_ever_new_rain_and_tests_every_severity(path):
    train, val, *tests = datasets_of(load_config(path))
    assert rain_in(train) == ((1, 5), None)
    assert rain_in(val) == ((1, 5), 0)
    assert [rain_in(dataset) for dataset in tests] == [(k, 0) for k in (1, 2, 3, 4, 5)]
    assert len({(dataset.images, dataset.percent) for dataset in tests}) == 1
    assert train.images not in (val.images, tests[0].images)
    for dataset in (train, val, *tests):
        names = [step.type for step in dataset.pipeline]
        crop = next(name for name in names if name.endswith("Crop"))
        assert names.index("RainPair") < names.index(crop)  # on the whole image


@pytest.mark.parametrize("path", [SPDNET, TOY], ids=lambda path: path.stem)
def test_another_data_root_reaches_every_dataset(path, tmp_path):
    load_config(path, dict(data_root="/a")).dump(tmp_path / "dumped.py")
    for cfg, root in (
        (load_config(path, dict(data_root="/a")), "/a/"),
        (load_config(tmp_path / "dumped.py", dict(data_root="/b/")), "/b/"),
    ):
        images = [dataset.images for dataset in datasets_of(cfg)]
        split = "test" if path == TOY else "val"
        assert images == [
            f"{root}train2017/", f"{root}val2017/", *[f"{root}{split}2017/"] * 5
        ]  # fmt: skip
        assert cfg.data_root == cfg.written_with.data_root == root


def test_defaults_are_what_mmengine_alone_reads():
    assert load_config(SPDNET).to_dict() == Config.fromfile(SPDNET).to_dict()


def test_an_empty_data_root():
    with pytest.raises(ValueError, match="data_root must be the path of a folder, got ''"):
        load_config(SPDNET, dict(data_root=""))


def test_it_is_the_papers_network_and_schedule():
    cfg = load_config(SPDNET)
    model = MODELS.build(cfg.model)
    assert isinstance(model, SupervisedRestorer)
    assert sum(parameter.numel() for parameter in model.parameters()) == 2_981_525
    assert cfg.optim_wrapper.optimizer == dict(type="Adam", lr=5e-4)
    assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (300, 16)
    sizes = [s.crop_size for s in cfg.train_dataloader.dataset.pipeline if s.type == "RandomCrop"]
    assert sizes == [(128, 128)]

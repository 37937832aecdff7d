"""Configs of tiny detectors: vanilla, behind SPDNet, with either neck, and with early blocks."""

import pytest
from mmengine.config import Config
from tiny_rtdetr import tiny_rtdetr_cfg


@pytest.fixture(scope="session")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    vanilla = tiny_rtdetr_cfg()
    restorer = dict(type="SPDNet", n_feats=4, num_blocks=1)
    preprocessor = dict(vanilla["data_preprocessor"], type="PixelDerainDataPreprocessor")
    early = dict(vanilla["backbone"], early_derain=dict(type="EarlyFeatureDerain"))
    ms = behind("MultiScaleFeatureDerain", vanilla["neck"])
    models = {
        "vanilla": vanilla,
        "spdnet": dict(vanilla, data_preprocessor=dict(preprocessor, restorer=restorer)),
        "ms": dict(vanilla, neck=ms),
        "lite": dict(vanilla, neck=behind("LightweightFeatureDerain", vanilla["neck"])),
        "early": dict(vanilla, backbone=early),
        "early_ms": dict(vanilla, backbone=early, neck=ms),
    }
    for name, model in models.items():
        Config(dict(model=model)).dump(folder / f"{name}.py")
    return {name: folder / f"{name}.py" for name in models}


def behind(derain, neck):
    return dict(type="DerainNeck", derain=dict(type=derain, in_channels=[16, 24, 32]), neck=neck)

import importlib

import pytest
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from derain_plugin.engine.optim_wrappers import enable_amp


@pytest.fixture
def on_device(monkeypatch):
    module = importlib.import_module("derain_plugin.engine.optim_wrappers.enable_amp")
    return lambda device: monkeypatch.setattr(module, "get_device", lambda: device)


def make_cfg(**wrapper) -> Config:
    return Config(dict(optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.1), **wrapper)))


@pytest.mark.parametrize("kind", [None, "OptimWrapper", "mmengine.OptimWrapper", OptimWrapper])
@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cpu", dict(type="mmdet.BF16OptimWrapper")),
        ("cuda", dict(type="AmpOptimWrapper", loss_scale="dynamic")),
    ],
)
def test_full_precision_is_switched(on_device, kind, device, expected):
    on_device(device)
    cfg = make_cfg(clip_grad=dict(max_norm=0.1), **({} if kind is None else dict(type=kind)))
    enable_amp(cfg)
    optimizer = dict(type="AdamW", lr=0.1)
    expected = dict(optimizer=optimizer, clip_grad=dict(max_norm=0.1), **expected)
    assert cfg.optim_wrapper.to_dict() == expected


@pytest.mark.parametrize(
    "wrapper",
    [
        dict(type="AmpOptimWrapper", loss_scale=512.0, dtype="float16"),
        dict(type="BF16OptimWrapper"),
    ],
)
def test_mixed_precision_stays_as_configured_on_cuda(on_device, wrapper):
    on_device("cuda")
    cfg = make_cfg(**wrapper)
    enable_amp(cfg)
    assert cfg.optim_wrapper == make_cfg(**wrapper).optim_wrapper


def test_options_of_loss_scaling_go_on_cpu(on_device):
    on_device("cpu")
    cfg = make_cfg(type="AmpOptimWrapper", loss_scale=512.0, dtype="float16", use_fsdp=False)
    enable_amp(cfg)
    assert cfg.optim_wrapper == make_cfg(type="mmdet.BF16OptimWrapper").optim_wrapper


def test_other_wrappers_are_refused():
    with pytest.raises(ValueError, match=r"'ApexOptimWrapper'.*without --amp"):
        enable_amp(make_cfg(type="ApexOptimWrapper"))


def test_missing_wrapper_is_refused():
    with pytest.raises(ValueError, match="needs an optim_wrapper"):
        enable_amp(Config(dict(model=dict(type="RTDETR"))))


def test_device_without_mixed_precision_is_refused(on_device):
    on_device("mps")
    with pytest.raises(ValueError, match="'mps'"):
        enable_amp(make_cfg(type="OptimWrapper"))

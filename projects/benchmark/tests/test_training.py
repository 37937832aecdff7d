import pytest
import torch
from mmengine.config import Config
from tiny_rtdetr import FAMILY, build, tiny_rtdetr_cfg

from projects.benchmark import training
from projects.benchmark.setting import Setting
from projects.benchmark.training import measure_training
from projects.benchmark.transformers_arm import transformers_twin

TINY = Setting(size=64, batch_size=2)


def test_rates_relative_to_transformers(configs):
    rows = measure_training([configs["vanilla"], configs["ms"]], TINY, rounds=3)
    assert [row["model"] for row in rows] == [
        "transformers RTDetrForObjectDetection",
        "vanilla",
        "ms",
    ]
    assert rows[0]["relative"] == 1
    assert [row["derain"] for row in rows] == [None, None, "MultiScaleFeatureDerain"]
    assert all(row["images_per_second"] > 0 for row in rows)
    for row in rows:
        low, high = row["relative_interval"]
        assert low <= row["relative"] <= high


@pytest.mark.parametrize("name", ["vanilla", "ms"])
def test_the_twin_does_the_same_work(configs, name, monkeypatch):
    """The same loss from the same images and boxes, and an optimizer's step in both."""
    losses = []

    class Recorder:
        def update_params(self, loss):
            losses.append(loss.item())
            loss.backward()

    monkeypatch.setattr(training, "_wrap_optimizer", lambda model: Recorder())
    model = training._build_rtdetr(configs[name], TINY)
    steps = training._transformers_step(model, TINY), training._step(model, TINY)
    for step in steps:
        torch.manual_seed(0)  # denoising draws
        step()
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_step_moves_every_trained_weight(configs):
    model = training._build_rtdetr(configs["vanilla"], TINY)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    training._step(model, TINY)()
    moved = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert len(moved) > 0.9 * len(before)


@pytest.mark.parametrize("arch", FAMILY)
def test_the_twin_has_our_weights(arch):
    model = build(tiny_rtdetr_cfg(arch=arch)).eval()
    twin = transformers_twin(model).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(twin(images).logits, model(images, mode="tensor")[0])


def test_other_detectors_are_refused(tmp_path):
    head = dict(type="YOLOXHead", num_classes=2, in_channels=8, feat_channels=8)
    model = dict(type="SingleStageDetector", backbone=dict(type="ResNet", depth=18), bbox_head=head)
    Config(dict(model=model)).dump(tmp_path / "other.py")
    with pytest.raises(ValueError, match="name configs of RTDETR"):
        measure_training([tmp_path / "other.py"], TINY, rounds=3)


def test_every_step_has_the_same_size(configs, tmp_path):
    cfg = Config.fromfile(configs["vanilla"])
    sizes = dict(type="BatchRandomResize", sizes=[32, 96])
    cfg.model.data_preprocessor.batch_augments = [sizes]
    cfg.dump(tmp_path / "multi_scale.py")
    model = training._build_rtdetr(tmp_path / "multi_scale.py", TINY)
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-1]))
    step = training._step(model, TINY)
    for _ in range(4):
        step()
    assert seen == [64] * 4


def test_ratios_are_paired(configs, monkeypatch):
    drifting = [[[10.0, 1000.0, 20.0]], [[20.0, 2000.0, 40.0]]]
    monkeypatch.setattr(training, "times_in_turns", lambda *_, **__: drifting)
    twin, ours = measure_training([configs["vanilla"]], TINY, rounds=3)
    assert (twin["relative"], ours["relative"]) == (1, 0.5)
    assert ours["relative_interval"] == [0.5, 0.5]
    assert ours["images_per_second"] == pytest.approx(1000 * TINY.batch_size / 40)

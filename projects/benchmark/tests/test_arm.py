import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from tiny_rtdetr import tiny_rtdetr_cfg

from projects.benchmark.arm import Arm
from projects.benchmark.resources import count_parameters
from projects.benchmark.setting import Setting

TINY = Setting(size=64, batch_size=2)


@pytest.mark.parametrize("name", ["spdnet", "ms", "lite", "early", "early_ms"])
def test_without_the_part_it_is_the_vanilla_detector(configs, name):
    arm = Arm(configs[name], TINY)
    shake(arm)
    with_it, without = arm.run(), arm.run_without()
    vanilla = Arm(configs["vanilla"], TINY)
    copy_detector(arm._model, vanilla._model)
    expected = vanilla.run()
    for found, other, derained in zip(without, expected, with_it, strict=True):
        torch.testing.assert_close(found.pred_instances.scores, other.pred_instances.scores)
        assert not torch.equal(derained.pred_instances.scores, other.pred_instances.scores)
    again = arm.run()
    assert torch.equal(again[0].pred_instances.scores, with_it[0].pred_instances.scores)


@pytest.mark.parametrize("name", ["ms", "lite", "early_ms"])
def test_taking_out_leaves_no_hooks(configs, name):
    arm = Arm(configs[name], TINY)
    before = len(arm._model._load_state_dict_post_hooks)
    arm.run_without()
    assert len(arm._model._load_state_dict_post_hooks) == before


def test_the_part_is_put_back_after_an_error(configs):
    arm = Arm(configs["ms"], TINY)
    neck = arm._model.neck
    neck.neck.forward = None
    with pytest.raises(TypeError):
        arm.run_without()
    assert arm._model.neck is neck


@pytest.mark.parametrize("name", ["spdnet", "ms"])
def test_alone_computes_what_the_detector_uses(configs, name):
    arm = Arm(configs[name], TINY)
    shake(arm)
    inside = []
    arm._part.module.register_forward_hook(lambda _, __, output: inside.append(output))
    arm.run()
    seen = list(inside)
    inside.clear()
    arm.run_alone()
    assert len(inside) == len(seen) == (TINY.batch_size if name == "spdnet" else 1)
    for alone, used in zip(inside, seen, strict=True):
        assert all(map(torch.equal, alone, used))


@pytest.mark.parametrize("name", ["early", "early_ms"])
def test_alone_computes_what_the_detector_uses_of_early_blocks(configs, name):
    arm = Arm(configs[name], TINY)
    shake(arm)
    computing = [m for m in arm._part.module.modules() if not list(m.children())]
    outputs = []
    for module in computing:
        module.register_forward_hook(lambda _, __, output: outputs.append(output))
    with torch.inference_mode():
        run_alone = arm._part.alone(arm._model, arm._batch)  # on what shaken blocks are given
        outputs.clear()
        arm.run()
        seen = list(outputs)
        outputs.clear()
        run_alone()
    assert len(outputs) == len(seen) >= len(computing)
    assert all(map(torch.equal, outputs, seen))


def test_early_blocks_and_neck_are_one_part(configs):
    arm = Arm(configs["early_ms"], TINY)
    assert arm.derain == "EarlyFeatureDerain + MultiScaleFeatureDerain"


def test_counts_of_the_part_are_the_difference(configs):
    vanilla = Arm(configs["vanilla"], TINY).count()
    assert vanilla.keys() == {"parameters", "gflops"}
    for name in ("spdnet", "ms", "lite", "early", "early_ms"):
        found = Arm(configs[name], TINY).count()
        assert found["derain_parameters"] == found["parameters"] - vanilla["parameters"] > 0
        difference = found["gflops"] - vanilla["gflops"]
        assert found["derain_gflops"] == pytest.approx(difference, rel=1e-6)
        assert difference > 0


def test_flops_are_per_image(configs):
    one, two = (Arm(configs["ms"], Setting(size=64, batch_size=n)).count() for n in (1, 2))
    assert one["derain_gflops"] == pytest.approx(two["derain_gflops"])


def test_memory(configs):
    arm = Arm(configs["spdnet"], TINY)
    found = arm.peak_megabytes()
    weights = 4 * count_parameters(arm._model) / 1e6
    feature = 4 * 4 * 64 * 64 / 1e6  # MB; SPDNet holds several at once
    assert 2 * feature < found["derain_memory_mb"] < found["memory_mb"] - weights


def test_several_parts_are_refused(configs, tmp_path):
    model = Config.fromfile(configs["ms"]).model
    model.neck.neck = dict(model.neck)
    Config(dict(model=model)).dump(tmp_path / "twice.py")
    with pytest.raises(ValueError, match="several de-rain parts"):
        Arm(tmp_path / "twice.py", TINY)


def test_images_reach_the_model_in_the_memory_format(configs):
    arm = Arm(configs["ms"], Setting(size=64, channels_last=True))
    given = []
    arm._part.module.register_forward_pre_hook(lambda _, args: given.extend(args[0]))
    arm.run()
    assert all(feat.is_contiguous(memory_format=torch.channels_last) for feat in given)


@pytest.mark.parametrize("name", ["ms", "spdnet", "early_ms"])
def test_compiles_every_part(configs, name, monkeypatch):
    compiled = []
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, **_: compiled.append(type(self).__name__)
    )
    arm = Arm(configs[name], TINY)
    arm.compile()
    parts = {"RTDETRBackbone", "RTDETRHead", "RTDETRHybridEncoder", *arm.derain.split(" + ")}
    assert parts <= set(compiled)
    assert "PixelDerainDataPreprocessor" not in compiled


def test_builds_what_the_config_says(configs):
    model = MODELS.build(Config.fromfile(configs["lite"]).model)
    assert Arm(configs["lite"], TINY).count()["parameters"] == count_parameters(model)


def shake(arm):
    """Move the de-rain part away from the identity."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in arm._part.module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


def copy_detector(source, target):
    names = {key.replace("neck.neck.", "neck."): w for key, w in source.state_dict().items()}
    target.load_state_dict({key: names[key] for key in target.state_dict()})


def test_counts_a_detector_that_gives_parameters_to_its_layers(tmp_path):
    """RF-DETR's queries, which torch's counter takes for something to go back through."""
    Config(dict(model=tiny_rtdetr_cfg(arch="rfdetr_nano"))).dump(tmp_path / "rfdetr.py")
    arm = Arm(tmp_path / "rfdetr.py", Setting(size=128, batch_size=1))
    assert arm.count()["gflops"] > 0

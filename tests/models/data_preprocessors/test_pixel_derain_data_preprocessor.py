from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper
from tiny_rtdetr import TINY, build, data_samples, tiny_rtdetr_cfg, transformers_twin
from torch import nn

from derain_plugin import load_config
from derain_plugin.engine.optim_wrappers import BF16OptimWrapper

CONFIG = Path(__file__).parents[3] / "configs/rtdetr_r18_spdnet.py"
SPDNET = dict(type="SPDNet", n_feats=4, num_blocks=1)
BGR = dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True)
RGB = dict(mean=[0, 0, 0], std=[255, 255, 255], rgb_to_bgr=True)


@MODELS.register_module()
class RedAtDouble(nn.Module):
    """A restorer without parameters that doubles the first channel it sees."""

    def restore(self, images):
        self.seen = images
        return images * torch.tensor([2.0, 1, 1]).view(1, 3, 1, 1)


def preprocessor(restorer, *, options=BGR, **kwargs):
    torch.manual_seed(0)
    cfg = dict(type="PixelDerainDataPreprocessor", restorer=restorer, **options, **kwargs)
    return MODELS.build(cfg)


def random_images(*sizes):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes
    ]


def batch(*sizes):
    return dict(inputs=random_images(*sizes), data_samples=data_samples([1] * len(sizes), sizes[0]))


def detector(**options):
    torch.manual_seed(0)
    cfg = tiny_rtdetr_cfg()
    cfg["data_preprocessor"].update(type="PixelDerainDataPreprocessor", restorer=SPDNET, **options)
    return build(cfg)


@pytest.mark.parametrize(("options", "red"), [(BGR, 2), (RGB, 0)], ids=["bgr", "rgb"])
def test_restorer_sees_rgb_and_the_detector_what_it_would_see(options, red):
    (image,) = random_images((4, 6))
    module = preprocessor(dict(type="RedAtDouble"), options=options)
    out = module(dict(inputs=[image], data_samples=None))["inputs"]
    assert module.restorer.seen.dtype == torch.float32
    assert torch.equal(module.restorer.seen[0, 0], image[red].float())
    expected = image.float()
    expected[red] = (2 * expected[red]).clamp(max=255)
    torch.testing.assert_close(out[0], expected.flip(0) / 255)


def test_without_conversion_images_stay_bgr():
    (image,) = random_images((4, 6))
    out = preprocessor(dict(type="RedAtDouble"), options={})(
        dict(inputs=image[None], data_samples=None)
    )
    assert torch.equal(out["inputs"][0, 0], image[0].float())
    assert torch.equal(out["inputs"][0, 2], (2 * image[2].float()).clamp(max=255))


def test_images_of_different_sizes_are_restored_before_padding():
    module = preprocessor(SPDNET, pad_size_divisor=8)
    data = batch((16, 20), (13, 24))
    out = module(data)["inputs"]
    assert out.shape == (2, 3, 16, 24)
    for image, restored in zip(data["inputs"], out, strict=True):
        height, width = image.shape[1:]
        expected = module.restorer.restore(image.flip(0)[None].float()).clamp(0, 255)[0] / 255
        torch.testing.assert_close(restored[:, :height, :width], expected)
        assert not restored[:, height:].any()
        assert not restored[:, :, width:].any()


def test_a_stacked_batch_equals_a_list():
    module, images = preprocessor(SPDNET), random_images((9, 12), (9, 12))
    listed = module(dict(inputs=images, data_samples=None))["inputs"]
    stacked = module(dict(inputs=torch.stack(images), data_samples=None))["inputs"]
    assert torch.equal(listed, stacked)


@pytest.mark.parametrize("training", [True, False])
def test_batch_augmentations_come_after(training):
    resize = dict(type="BatchRandomResize", sizes=[32])
    module = preprocessor(SPDNET, batch_augments=[resize])
    out = module(batch((16, 16)), training=training)
    assert out["inputs"].shape[-2:] == ((32, 32) if training else (16, 16))
    assert out["data_samples"][0].batch_input_shape == out["inputs"].shape[-2:]


def test_a_frozen_restorer_stays_as_it_is():
    model = detector().train()
    restorer = model.data_preprocessor.restorer
    assert not any(module.training for module in restorer.modules())
    assert not any(parameter.requires_grad for parameter in restorer.parameters())
    assert not model.data_preprocessor(batch((32, 32)), training=True)["inputs"].requires_grad


def open_the_clamp(model):
    """Centre the predictions, as a trained network does: a random one predicts about 0."""
    with torch.no_grad():
        for stage in model.data_preprocessor.restorer.stages:
            stage.predict.bias += 128


@pytest.mark.parametrize("wrapper", [OptimWrapper, BF16OptimWrapper])
@pytest.mark.parametrize("trainable", [True, False])
def test_training_reaches_the_restorer_only_if_it_may(trainable, wrapper):
    model = detector(trainable=trainable).train()
    open_the_clamp(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = model.train_step(batch((32, 64), (32, 64)), wrapper(optimizer))
    assert torch.isfinite(losses["loss"])
    changed = {
        name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert any(name.startswith("backbone.") for name in changed)
    changed = {name for name in changed if name.startswith("data_preprocessor.restorer.")}
    assert ("data_preprocessor.restorer.stem.0.0.weight" in changed) == trainable
    assert bool(changed) == trainable


def test_no_graph_while_testing():
    module = preprocessor(SPDNET, trainable=True)
    assert module(batch((12, 12)))["inputs"].requires_grad
    with torch.no_grad():
        assert not module(batch((12, 12)))["inputs"].requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_restores_in_the_dtype_of_the_model(dtype):
    module = preprocessor(SPDNET).to(dtype)
    seen = []
    module.restorer.stem.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    assert module(batch((12, 12)))["inputs"].isfinite().all()
    assert seen == [dtype]


def weights_file(folder, seed=7):
    torch.manual_seed(seed)
    restorer = MODELS.build(SPDNET)
    torch.save(dict(state_dict=restorer.state_dict()), folder / "spdnet.pth")
    return restorer, dict(type="Pretrained", checkpoint=str(folder / "spdnet.pth"))


def test_weights_are_there_from_the_start_and_a_detector_checkpoint_keeps_them(tmp_path):
    trained, init_cfg = weights_file(tmp_path)
    cfg = tiny_rtdetr_cfg()
    plain = build(cfg)
    cfg["data_preprocessor"].update(
        type="PixelDerainDataPreprocessor", restorer=dict(SPDNET, init_cfg=init_cfg)
    )
    model = build(cfg)
    for load in (lambda: None, lambda: model.load_state_dict(plain.state_dict())):
        load()
        state = model.data_preprocessor.restorer.state_dict()
        assert all(torch.equal(state[name], t) for name, t in trained.state_dict().items())
    name = "neck.encoder_input_proj.0.0.weight"
    assert torch.equal(model.state_dict()[name], plain.state_dict()[name])


def test_a_whole_checkpoint_brings_its_restorer():
    source, model = detector(), detector()
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 1
    model.load_state_dict(source.state_dict())
    assert torch.equal(
        model.data_preprocessor.restorer.stem[0][0].bias,
        source.data_preprocessor.restorer.stem[0][0].bias,
    )


def test_half_a_restorer_is_refused():
    model = detector()
    state = model.state_dict()
    del state["data_preprocessor.restorer.stem.0.0.bias"]
    with pytest.raises(ValueError, match="does not fill this SPDNet: it misses 1"):
        model.load_state_dict(state)


def test_a_module_that_does_not_restore_is_refused():
    with pytest.raises(TypeError, match=r"with restore\(images\), .*, got BatchRandomResize"):
        preprocessor(dict(type="BatchRandomResize", sizes=[32]))


def test_the_shipped_config_takes_weights_from_the_command_line(tmp_path):
    _, init_cfg = weights_file(tmp_path)
    name = "model.data_preprocessor.restorer"
    options = {f"{name}.init_cfg.{key}": value for key, value in init_cfg.items()}
    cfg = load_config(CONFIG, {**options, f"{name}.n_feats": 4, f"{name}.num_blocks": 1})
    control = load_config(CONFIG.with_name("rtdetr_r18_finetune_mix.py"))
    theirs, ours = control.model.pop("data_preprocessor"), cfg.model.pop("data_preprocessor")
    assert cfg.to_dict() == control.to_dict()
    module = MODELS.build(ours)
    assert {**ours, "type": theirs.type} == {**theirs, "restorer": ours.restorer}
    trained = torch.load(init_cfg["checkpoint"])["state_dict"]
    assert torch.equal(module.restorer.stem[0][0].weight, trained["stem.0.0.weight"])


def test_a_hub_checkpoint_loads_behind_a_restorer(tmp_path):
    transformers_twin(num_classes=2, **TINY).save_pretrained(tmp_path)
    model = detector(trainable=True)
    model.init_cfg = dict(type="Pretrained", checkpoint=f"hf://{tmp_path}")
    before = model.data_preprocessor.restorer.stem[0][0].weight.clone()
    model.init_weights()
    assert torch.equal(model.data_preprocessor.restorer.stem[0][0].weight, before)

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper
from torch import nn

from derain_plugin.engine.optim_wrappers import BF16OptimWrapper
from derain_plugin.models import SPDNet, SupervisedRestorer

TINY = dict(type="SPDNet", n_feats=4, num_blocks=1)


@MODELS.register_module()
class Brighter(nn.Module):
    """A restorer with one image, and one weight."""

    def __init__(self):
        super().__init__()
        self.light = nn.Parameter(torch.tensor(100.0))

    def forward(self, images):
        return images + self.light

    restore = forward


def build(restorer=TINY):
    torch.manual_seed(0)
    return SupervisedRestorer(restorer)


def batch(size=(16, 21)):
    generator = torch.Generator().manual_seed(0)
    names = "inputs", "clean"
    images = [
        torch.randint(256, (2, 3, *size), generator=generator, dtype=torch.uint8) for _ in names
    ]
    return dict(zip(names, images, strict=True), rain_severity=torch.tensor([1, 2]))


def test_loss_is_the_summed_error_of_the_three_images():
    model, data = build(), batch()
    losses = model(**data, mode="loss")
    assert list(losses) == ["loss_mse_0", "loss_mse_1", "loss_mse_2"]
    final, second, first = model.restorer(data["inputs"].float())
    expected = [((image - data["clean"].float()) ** 2).mean() for image in (final, second, first)]
    torch.testing.assert_close(list(losses.values()), expected)
    torch.testing.assert_close(model.parse_losses(losses)[0], sum(expected))


def test_every_parameter_learns():
    model = build(dict(type="SPDNet", n_feats=16, num_blocks=1))  # with 4 a ReLU may be dead
    sum(model(**batch(), mode="loss").values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_restorer_of_one_image():
    model, data = build(dict(type="Brighter")), batch()
    (loss,) = model(**data, mode="loss").values()
    error = data["inputs"].double() + 100 - data["clean"]
    assert loss.item() == pytest.approx(float((error**2).mean()), rel=1e-5)


def test_predictions_are_clamped_and_the_loss_is_not():
    model = build(dict(type="Brighter"))
    data = dict(inputs=torch.full((2, 3, 4, 5), 200), clean=torch.full((2, 3, 4, 5), 255))
    predictions = model.val_step(data)
    assert [sample["restored"].shape for sample in predictions] == [(3, 4, 5)] * 2
    assert all((sample["restored"] == 255).all() for sample in predictions)
    assert float(model(**data, mode="loss")["loss_mse_0"]) == 45**2
    assert (model(data["inputs"]) == 300).all()


@pytest.mark.parametrize("wrapper", [OptimWrapper, BF16OptimWrapper])
def test_training_steps_lower_the_loss(wrapper):
    model, data = build(dict(type="Brighter")), batch()
    optim_wrapper = wrapper(torch.optim.Adam(model.parameters(), lr=20.0))
    losses = [model.train_step(data, optim_wrapper)["loss"] for _ in range(5)]
    assert losses == sorted(losses, reverse=True)


def test_spdnet_takes_a_step_in_bf16():
    model, data = build(), batch()
    before = [parameter.clone() for parameter in model.parameters()]
    optim_wrapper = BF16OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3))
    losses = model.train_step(data, optim_wrapper)
    assert losses["loss"].isfinite()
    assert losses["loss"].dtype == torch.float32
    after = list(model.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_its_checkpoint_is_a_restorers(tmp_path):
    model = build()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "epoch_1.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "epoch_1.pth"), prefix="restorer.")
    other = SPDNet(n_feats=4, num_blocks=1, init_cfg=init_cfg)
    other.init_weights()
    images = batch()["inputs"].float()
    assert torch.equal(other.restore(images), model.restorer.restore(images))


@pytest.mark.parametrize("mode", ["loss", "train"])
def test_modes(mode):
    with pytest.raises(ValueError, match=f"`loss` needs `clean`; got '{mode}'"):
        build()(batch()["inputs"], mode=mode)


def test_a_module_that_does_not_restore():
    with pytest.raises(
        TypeError, match=r"restore\(images\), such as SPDNet, got BatchRandomResize"
    ):
        build(dict(type="BatchRandomResize", sizes=[32]))

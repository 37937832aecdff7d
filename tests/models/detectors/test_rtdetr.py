import copy
import pickle

import pytest
import torch
from mmengine.runner import load_checkpoint
from tiny_rtdetr import FAMILY, TINY, build, data_samples, tiny_rtdetr_cfg

from derain_plugin.models.dense_heads import rtdetr_head


def save(model, path):
    torch.save({"state_dict": model.state_dict()}, path)
    return str(path)


def test_channels_of_neighbours_must_agree():
    cfg = tiny_rtdetr_cfg()
    cfg["neck"]["encoder_in_channels"] = [16, 24, 48]
    with pytest.raises(ValueError, match=r"\(16, 24, 32\).*\(16, 24, 48\)"):
        build(cfg)


@pytest.mark.parametrize(
    "other",
    [
        tiny_rtdetr_cfg(decoder_layers=3),
        tiny_rtdetr_cfg(decoder_ffn_dim=16),
        tiny_rtdetr_cfg(backbone_config=dict(TINY["backbone_config"], depths=[1, 1, 1, 2])),
    ],
    ids=["more weights", "other shapes", "deeper backbone"],
)
def test_checkpoint_of_another_architecture_is_refused(tmp_path, other):
    path = save(build(other), tmp_path / "other.pth")
    with pytest.raises(ValueError, match="does not fit this RTDETR"):
        load_checkpoint(build(tiny_rtdetr_cfg()), path)


def test_incomplete_checkpoint_is_refused(tmp_path):
    model = build(tiny_rtdetr_cfg())
    state = model.state_dict()
    del state["neck.encoder.lateral_convs.0.conv.weight"]
    torch.save({"state_dict": state}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"misses 1: neck\.encoder\.lateral_convs\.0"):
        load_checkpoint(model, str(tmp_path / "part.pth"))


@pytest.mark.parametrize("arch", FAMILY)
def test_other_number_of_classes_keeps_only_the_class_layers_fresh(arch, tmp_path, monkeypatch):
    trained = build(tiny_rtdetr_cfg(5, arch))
    model = build(tiny_rtdetr_cfg(2, arch))
    before = copy.deepcopy(model.state_dict())
    logged = []
    monkeypatch.setattr(rtdetr_head, "print_log", lambda message, **_: logged.append(message))
    load_checkpoint(model, save(trained, tmp_path / "five.pth"))
    fresh, theirs = [], trained.state_dict()
    for name, tensor in model.state_dict().items():
        if tensor.shape == theirs[name].shape:
            assert torch.equal(tensor, theirs[name]), name
        else:
            assert torch.equal(tensor, before[name]), name
            fresh.append(name)
    assert len(fresh) == 1 + 2 + 2 * 2
    assert all("class" in name or "score" in name for name in fresh)
    (message,) = logged
    assert "another number of classes than 2" in message
    assert all(name in message for name in fresh)


@pytest.mark.parametrize("arch", FAMILY)
def test_init_weights_keeps_upstreams_start(arch):
    model = build(tiny_rtdetr_cfg(arch=arch))
    before = copy.deepcopy(model.state_dict())
    model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("arch", FAMILY)
def test_copies_and_pickles(arch):
    model = build(tiny_rtdetr_cfg(arch=arch)).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(images, mode="tensor")[0]
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(images, mode="tensor")[0], expected)
            twin.load_state_dict(model.state_dict())


@pytest.mark.parametrize("arch", FAMILY)
def test_batched_equals_single(arch):
    torch.manual_seed(1)  # with 0 and transformers 5.18 two queries have scores that are equal
    model = build(tiny_rtdetr_cfg(arch=arch)).eval()
    images = torch.rand(3, 3, 64, 96)
    with torch.no_grad():
        together = model(images, mode="tensor")[0]
        alone = torch.cat([model(image[None], mode="tensor")[0] for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "arch", [pytest.param(arch, marks=pytest.mark.slow if arch != "r18" else ()) for arch in FAMILY]
)
def test_learns_one_batch(arch):
    torch.manual_seed(0)
    model = build(tiny_rtdetr_cfg(arch=arch))
    images, samples = torch.rand(2, 3, 64, 64), data_samples([2, 3], (64, 64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def last_layer_loss():
        with torch.no_grad():
            losses = model.eval()(images, samples, mode="loss")
        return sum(losses[name].item() for name in ("loss_vfl", "loss_bbox", "loss_giou"))

    before = last_layer_loss()
    for _ in range(60):
        loss = sum(model.train()(images, samples, mode="loss").values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert last_layer_loss() < 0.6 * before

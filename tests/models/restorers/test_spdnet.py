import pytest
import torch
from mmdet.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from derain_plugin.models.restorers import SPDNet
from derain_plugin.models.restorers.spdnet import residue_channel


def small(seed=0, **options):
    torch.manual_seed(seed)
    return MODELS.build(dict(type="SPDNet", **{"n_feats": 4, "num_blocks": 1, **options}))


def random_images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 255


def test_parameters_are_the_live_ones_of_the_authors():
    assert sum(p.numel() for p in SPDNet().parameters()) == 2_981_525


def test_work_is_that_of_the_authors_network():
    """Theirs takes 1,116 GFLOPs at 640 px, 0.8 of them in convolutions that do Haar's sums."""
    with torch.device("meta"):
        network, images = SPDNet(), torch.empty(1, 3, 640, 640)
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(1115.2, abs=0.3)


@pytest.mark.parametrize("size", [(6, 6), (6, 7), (9, 6), (16, 24), (21, 35)])
def test_every_size_comes_back(size):
    images = random_images(2, 3, *size)
    network = small().eval()
    outputs = network(images)
    assert [image.shape for image in outputs] == [images.shape] * 3
    assert torch.equal(network.restore(images), outputs[0])


@pytest.mark.parametrize("shape", [(1, 3, 5, 40), (1, 3, 40, 5), (1, 4, 16, 16), (3, 16, 16)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"RGB images \(N, 3, H, W\) of at least 6 px"):
        small()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(n_feats=5), "n_feats must be even and at least 2, got 5"),
        (dict(n_feats=0), "n_feats must be even and at least 2, got 0"),
        (dict(num_blocks=0), "num_blocks must be at least 1, got 0"),
        (dict(scale=0.0), "scale must be above 0 and finite, such as 1 or 255, got 0.0"),
        (dict(scale=float("nan")), "scale must be above 0 and finite, such as 1 or 255, got nan"),
        (dict(identity=True, n_feats=4), "identity=True needs n_feats of at least 6, got 4"),
    ],
)
def test_unusable_options(options, message):
    with pytest.raises(ValueError, match=message):
        SPDNet(**options)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_identity_at_initialisation(scale):
    images = random_images(2, 3, 17, 22)
    with torch.no_grad():
        for restored in small(n_feats=16, scale=scale, identity=True)(images):
            assert (restored - images).abs().max() < 0.1  # grey levels


def test_scale_is_that_of_what_the_network_computes_on():
    images = random_images(1, 3, 12, 14)
    with torch.no_grad():
        for scaled, plain in zip(small(scale=255.0)(images), small()(images / 255), strict=True):
            torch.testing.assert_close(scaled, plain * 255)


@pytest.mark.parametrize("identity", [False, True])
def test_every_parameter_gets_a_gradient(identity):
    network = small(n_feats=8, num_blocks=2, identity=identity)
    sum((image**2).mean() for image in network(random_images(2, 3, 17, 22))).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_batched_equals_single_and_repeats():
    network, images = small().eval(), random_images(3, 3, 19, 16)
    with torch.no_grad():
        batched = network.restore(images)
        torch.testing.assert_close(
            batched, torch.cat([network.restore(image[None]) for image in images])
        )
        assert torch.equal(batched, network.restore(images))


def test_the_newest_features_come_first():
    network, seen = small().eval(), {}

    def remember(stage, name):
        layer = getattr(network.stages[stage], name)
        layer.register_forward_pre_hook(lambda _, inputs: seen.update({(stage, name): inputs[0]}))

    for stage in range(3):
        network.stages[stage].pyramid.register_forward_hook(
            lambda _, __, features, stage=stage: seen.update({stage: features})
        )
        for name in ("aggregate_in", "aggregate_out"):
            remember(stage, name)
    with torch.no_grad():
        network(random_images(1, 3, 12, 14))
        stem = network.stem(random_images(1, 3, 12, 14))
    assert torch.equal(seen[1, "aggregate_in"], torch.cat([seen[0], stem], 1))
    assert torch.equal(seen[2, "aggregate_in"], torch.cat([seen[1], seen[0], stem], 1))
    assert torch.equal(seen[1, "aggregate_out"], torch.cat([seen[1], seen[0]], 1))
    assert torch.equal(seen[2, "aggregate_out"], torch.cat([seen[2], seen[1], seen[0]], 1))


def test_residue_channel_ignores_grey_rain():
    images = random_images(1, 3, 6, 6)
    rain = torch.rand(1, 1, 6, 6) * 50
    torch.testing.assert_close(residue_channel(images + rain), residue_channel(images))
    pixel = torch.tensor([200.0, 20.0, 70.0]).view(1, 3, 1, 1)
    assert residue_channel(pixel).item() == 180


def test_each_stage_is_guided_by_the_prediction_before_it():
    """Shifting all channels of stage 1's image keeps its residue; shifting one does not."""
    network, images = small().eval(), random_images(1, 3, 12, 12)
    with torch.no_grad():
        final, second, first = network(images)
        bias = network.stages[0].predict.bias
        bias += 3
        after_grey = network(images)
        bias += torch.tensor([40.0, 0, 0])
        after_red = network(images)
    torch.testing.assert_close(after_grey[2], first + 3)
    torch.testing.assert_close(after_grey[1], second, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after_grey[0], final, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(after_red[1], second, rtol=1e-4, atol=1e-4)


def test_first_stage_is_guided_by_the_image():
    network = small().eval()
    seen = []
    network.stages[0].prior.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = random_images(1, 3, 8, 8)
    network(images)
    assert torch.equal(seen[0], residue_channel(images).repeat(1, 3, 1, 1))


def test_bf16_autocast():
    network, images = small().eval(), random_images(1, 3, 16, 16)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mixed = network.restore(images)
    with torch.no_grad():
        torch.testing.assert_close(mixed.float(), network.restore(images), rtol=0.05, atol=1.0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda weights: weights.pop("stem.0.0.bias"), "misses 1: stem.0.0.bias"),
        (lambda weights: weights.update({"stem.0.0.bias": torch.zeros(7)}), "stem.0.0.bias"),
        (lambda weights: weights.clear(), "misses"),
    ],
)
def test_a_pretrained_checkpoint_that_does_not_fit_is_refused(tmp_path, spoil, message):
    weights = small().state_dict()
    spoil(weights)
    torch.save(dict(state_dict=dict(weights)), tmp_path / "weights.pth")
    network = small(init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth")))
    with pytest.raises(ValueError, match=rf"does not fill this SPDNet: .*{message}"):
        network.init_weights()


def test_a_checkpoint_of_a_larger_model_fills_it_by_prefix(tmp_path):
    trained = small(seed=5)
    weights = {f"restorer.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / "weights.pth")
    init = dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth"), prefix="restorer.")
    network = small(init_cfg=init)
    network.init_weights()
    assert torch.equal(network.stem[0][0].weight, trained.stem[0][0].weight)


@pytest.mark.parametrize("prefix", ["", "restorer."])
@pytest.mark.parametrize("name", ["gather", "summarise"])
def test_a_checkpoint_of_the_old_order_is_refused(tmp_path, name, prefix):
    new = {"gather": "aggregate_in", "summarise": "aggregate_out"}[name]
    weights = {
        prefix + key.replace(new, name): tensor for key, tensor in small().state_dict().items()
    }
    torch.save(dict(state_dict=weights), tmp_path / "weights.pth")
    init = dict(type="Pretrained", checkpoint=str(tmp_path / "weights.pth"))
    network = small(init_cfg={**init, "prefix": prefix} if prefix else init)
    with pytest.raises(ValueError, match=rf"stages.1.{name}.0.weight: .* oldest first"):
        network.init_weights()


@pytest.mark.parametrize(("trained", "here"), [(255.0, 1.0), (1.0, 255.0), (255.0, 100.0)])
def test_a_checkpoint_of_another_scale_is_refused(trained, here):
    weights = small(scale=trained).state_dict()
    with pytest.raises(
        ValueError, match=f"scale={trained:g}, but this one has scale={here:g}: give"
    ):
        small(scale=here).load_state_dict(weights)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_a_checkpoint_of_the_same_scale_is_taken(scale):
    trained, network = small(seed=5, scale=scale), small(scale=scale)
    network.load_state_dict(trained.state_dict())
    with torch.no_grad():
        images = random_images(1, 3, 12, 12)
        assert torch.equal(network.restore(images), trained.restore(images))

import copy
import math

import pytest
import torch
from mmengine.runner import load_checkpoint
from tiny_rtdetr import build, data_samples, tiny_rtdetr_cfg
from vanilla_checkpoint import write_vanilla_checkpoint

from derain_plugin.models.detectors.twin_supervised_rtdetr import (
    FULL_RAIN,
    feature_consistency_loss,
    rain_mask_loss,
)

DERAIN = dict(type="MultiScaleFeatureDerain", in_channels=[16, 24, 32])
EARLY = dict(type="EarlyFeatureDerain")
CHANNELS = (16, 24, 32)
BOTH = dict(consistency_weight=2.0, mask_weight=0.5)


def cfg_of(derain=True, early=False, **options):
    """The config of a plain detector, or with options of one that twins supervise."""
    cfg = tiny_rtdetr_cfg()
    if derain:
        cfg["neck"] = dict(type="DerainNeck", derain=DERAIN, neck=cfg["neck"])
    if early:
        cfg["backbone"]["early_derain"] = EARLY
    return dict(cfg, type="TwinSupervisedRTDETR", **options) if options else cfg


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_vanilla_checkpoint(tmp_path_factory.mktemp("teacher") / "vanilla.pth")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    clean = torch.rand(2, 3, 64, 64, generator=generator)
    streaks = torch.rand(2, 1, 8, 8, generator=generator).repeat_interleave(8, 2) * 0.8
    streaks = streaks.repeat_interleave(8, 3)
    streaks[1] = 0  # a clean image
    samples = data_samples([2, 3], (64, 64))
    for sample, rainy in zip(samples, (True, False), strict=True):
        sample.set_metainfo(dict(rainy=rainy))
    inputs = clean + streaks * (1 - clean)
    return dict(inputs=inputs, data_samples=samples, clean=clean, streaks=streaks)


def supervised(teacher, **options):
    """The frozen detector with a fresh neck, as phase 1 starts."""
    model = build(cfg_of(teacher=teacher, **{**BOTH, **options}))
    model.init_weights()
    load_checkpoint(model, teacher)
    model.train()
    model.backbone.eval()
    return model


def losses_of(model, batch):
    torch.manual_seed(2)  # denoising queries
    return model(**copy.deepcopy(batch), mode="loss")


def perturb(model):
    """Open the gates of the de-rain neck."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.neck.derain.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def assert_same_weights(one, other):
    weights, expected = one.state_dict(), other.state_dict()
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(weights[name], value), name


def test_losses_of_the_head_are_those_of_rtdetr(teacher, batch):
    plain = build(cfg_of())
    load_checkpoint(plain, teacher)
    model = supervised(teacher)
    plain.load_state_dict(model.state_dict())
    plain.train().backbone.eval()
    expected = losses_of(plain, {k: batch[k] for k in ("inputs", "data_samples")})
    losses = losses_of(model, batch)
    assert losses.keys() - expected.keys() == {"loss_consistency", "loss_mask"}
    for name, loss in expected.items():
        assert torch.equal(losses[name], loss), name


def test_consistency_is_zero_on_clean_images_until_the_neck_changes_them(teacher, batch):
    model = supervised(teacher)
    clean = dict(batch, inputs=batch["clean"])
    assert losses_of(model, clean)["loss_consistency"] == 0
    assert losses_of(model, batch)["loss_consistency"] > 0
    perturb(model)
    assert losses_of(model, clean)["loss_consistency"] > 0


def test_gradients_reach_the_neck_and_never_the_teacher(teacher, batch):
    model = supervised(teacher)
    perturb(model)
    (module,) = model._teacher
    before = copy.deepcopy(module)
    losses = losses_of(model, batch)
    (losses["loss_consistency"] + losses["loss_mask"]).backward()
    for name, parameter in model.neck.derain.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert all(p.grad is None and not p.requires_grad for p in module.parameters())
    assert_same_weights(module, before)
    assert all(p.grad is None for p in model.bbox_head.parameters())


def test_following_the_loss_brings_features_nearer_to_the_clean_ones(teacher, batch):
    model = supervised(teacher, mask_weight=0.0)
    optimizer = torch.optim.Adam(model.neck.derain.parameters(), lr=1e-3)
    values = []
    for _ in range(20):
        loss = losses_of(model, batch)["loss_consistency"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("early", [False, True])
def test_checkpoints_go_both_ways(teacher, early, tmp_path):
    options = dict(early=early)
    plain, model = build(cfg_of(**options)), build(cfg_of(**options, teacher=teacher, **BOTH))
    for giver, taker in ((plain, model), (model, plain)):
        torch.save(dict(state_dict=giver.state_dict()), tmp_path / "some.pth")
        load_checkpoint(taker, str(tmp_path / "some.pth"), strict=True)
        assert_same_weights(taker, giver)


def test_predictions_are_those_of_rtdetr(teacher, batch):
    plain, model = build(cfg_of()).eval(), supervised(teacher)
    perturb(model)
    plain.load_state_dict(model.eval().state_dict())
    with torch.no_grad():
        for ours, theirs in zip(
            model(batch["inputs"]), plain(batch["inputs"], mode="tensor"), strict=True
        ):
            assert torch.equal(ours, theirs)
        results = [
            m(batch["inputs"], copy.deepcopy(batch["data_samples"]), mode="predict")
            for m in (model, plain)
        ]
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours.pred_instances.bboxes, theirs.pred_instances.bboxes)
        assert torch.equal(ours.pred_instances.scores, theirs.pred_instances.scores)


def test_a_run_draws_the_same_with_and_without_a_teacher(teacher):
    models, after = [], []
    for options in ({}, dict(teacher=teacher, **BOTH)):
        torch.manual_seed(0)
        models.append(build(cfg_of(**options)))
        models[-1].init_weights()
        after.append(torch.rand(()))
    assert torch.equal(*after)
    assert_same_weights(*models)


def test_bf16_autocast_gives_losses_in_float32(teacher, batch):
    model = supervised(teacher)
    perturb(model)
    expected = losses_of(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(model, batch)
    for name in ("loss_consistency", "loss_mask"):
        assert losses[name].dtype == torch.float32
        assert float(losses[name]) == pytest.approx(float(expected[name]), rel=0.05)


def test_a_copy_has_a_teacher_and_supervises_alike(teacher, batch):
    model = supervised(teacher)
    twin = copy.deepcopy(model)
    assert losses_of(twin, batch)["loss_consistency"] == losses_of(model, batch)["loss_consistency"]
    assert twin._teacher[0] is not model._teacher[0]


def test_without_a_neck_the_backbones_features_are_pulled(teacher, batch):
    """Needed to tell what the loss does from what the neck does."""
    model = supervised(teacher, derain=False, mask_weight=0.0)
    losses = losses_of(model, batch)
    losses["loss_consistency"].backward()
    assert losses["loss_consistency"] > 0
    assert any(p.grad is not None and p.grad.any() for p in model.backbone.parameters())


def test_gate_learns_which_images_are_rainy(teacher, batch):
    model = supervised(teacher, early=True, mask_weight=0.0, gate_weight=3.0).train()
    losses = losses_of(model, batch)
    logits = model.backbone.last_rain_gate
    expected = -(logits.sigmoid()[0].log() + (1 - logits.sigmoid()[1]).log()) / 2
    torch.testing.assert_close(losses["loss_gate"], 3 * expected)
    losses["loss_gate"].backward()
    assert any(p.grad is not None and p.grad.any() for p in model.backbone.derain.gate.parameters())


@pytest.mark.parametrize("derain", [True, False])
def test_masks_of_early_blocks_are_taught_as_well(teacher, batch, derain):
    model = supervised(teacher, early=True, derain=derain, consistency_weight=0.0).train()
    loss = losses_of(model, batch)["loss_mask"]
    masks = model.backbone.last_rain_masks
    if derain:
        masks += model.neck.rain_masks(model.backbone(batch["inputs"]))
    assert len(masks) == (5 if derain else 2)
    torch.testing.assert_close(loss, model.mask_weight * rain_mask_loss(masks, batch["streaks"]))
    loss.backward()
    for block in model.backbone.derain.blocks.values():
        assert any(p.grad is not None and p.grad.any() for p in block.mask.parameters())


def test_distance_counts_channels_and_levels_alike():
    targets = [torch.randn(4, c, 8, 8) for c in CHANNELS]
    shifted = [t + t.std((0, 2, 3), correction=0).view(-1, 1, 1) for t in targets]
    one = feature_consistency_loss(shifted, targets)
    assert float(one) == pytest.approx(1 / 1.1, rel=0.02)
    scaled = [t * 10**i for i, t in enumerate(targets)]
    moved = [s * 10**i for i, s in enumerate(shifted)]
    torch.testing.assert_close(feature_consistency_loss(moved, scaled), one)


def test_a_channel_that_never_fires_stays_finite():
    targets = [torch.zeros(1, 2, 4, 4)]
    assert feature_consistency_loss(targets, targets) == 0
    targets[0][:, 0] = torch.randn(4, 4)
    assert feature_consistency_loss([t + 0.1 for t in targets], targets) < 10


@pytest.mark.parametrize("size", [(8, 8), (5, 7)])
def test_masks_are_best_where_they_show_the_streaks(size):
    streaks = torch.zeros(1, 1, 40, 56)
    streaks[..., 28:] = 2 * FULL_RAIN
    truth = torch.nn.functional.adaptive_avg_pool2d(streaks, size).div(FULL_RAIN).clamp(max=1)
    inverse = rain_mask_loss([1 - truth], streaks)
    assert rain_mask_loss([truth], streaks) < rain_mask_loss([0 * truth + 0.5], streaks) < inverse


@pytest.mark.parametrize("missing", ["clean", "streaks"])
def test_training_without_twins_is_refused(teacher, batch, missing):
    batch.pop(missing)
    with pytest.raises(ValueError, match="RainTwin"):
        losses_of(supervised(teacher), batch)


def test_gate_needs_to_know_which_samples_are_rainy(teacher, batch):
    model = supervised(teacher, early=True, gate_weight=1.0).train()
    batch["data_samples"] = data_samples([2, 3], (64, 64))
    with pytest.raises(ValueError, match="rainy"):
        losses_of(model, batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(mask_weight=-1.0), "mask_weight must be a number of at least 0, got -1"),
        (dict(mask_weight=math.inf), "got inf"),
        (dict(gate_weight=math.nan), "got nan"),
        (dict(gate_weight="1"), "gate_weight must be a number of at least 0, got '1'"),
        (dict(mask_weight=1.0, derain=False), "mask_weight=1.0 needs rain masks"),
        (dict(gate_weight=1.0), "gate_weight=1.0 needs a backbone with a rain gate"),
    ],
    ids=str,
)
def test_unusable_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(cfg_of(**options))


def test_teacher_that_is_not_there():
    model = build(cfg_of(teacher="/no/such.pth", **BOTH))
    with pytest.raises(FileNotFoundError, match=r"/no/such\.pth"):
        model.init_weights()


def test_teacher_that_is_not_named():
    with pytest.raises(ValueError, match="needs `teacher`"):
        build(cfg_of(consistency_weight=1.0)).init_weights()


def test_training_without_having_read_the_teacher(teacher, batch):
    with pytest.raises(ValueError, match="call init_weights"):
        losses_of(build(cfg_of(teacher=teacher, **BOTH)), batch)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dict(backbone_config=dict(hidden_sizes=[8, 16, 24, 64])), "it has in another shape"),
        (dict(backbone_config=dict(depths=[1, 1, 2, 1])), "it has, unlike the model"),
    ],
)
def test_teacher_that_does_not_fit(other, message, tmp_path):
    cfg = tiny_rtdetr_cfg()
    merged = {**cfg["backbone"]["backbone_config"], **other["backbone_config"]}
    model = build(dict(cfg["backbone"], backbone_config=merged))
    state = {f"backbone.{key}": tensor for key, tensor in model.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "other.pth")
    model = build(cfg_of(teacher=str(tmp_path / "other.pth"), **BOTH))
    with pytest.raises(ValueError, match=message):
        model.init_weights()


def test_predicting_needs_no_teacher(teacher, batch):
    """A trained model can be tested and exported where the teacher is not."""
    model = build(cfg_of(teacher="/no/such.pth", **BOTH)).eval()
    load_checkpoint(model, teacher)
    samples = model.predict(batch["inputs"], batch["data_samples"])
    assert all("bboxes" in sample.pred_instances for sample in samples)


def test_without_the_loss_no_teacher_is_read(batch):
    model = build(cfg_of(teacher="/no/such.pth", consistency_weight=0.0, mask_weight=1.0))
    model.init_weights()
    assert "loss_consistency" not in losses_of(model.train(), batch)

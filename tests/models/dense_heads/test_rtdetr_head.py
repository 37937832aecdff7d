import math

import pytest
import torch
from tiny_rtdetr import (
    FAMILY,
    GROUPED,
    TINY,
    TINY_OF,
    build,
    data_samples,
    our_copy,
    tiny_rtdetr_cfg,
    tiny_twin,
)
from transformers import PreTrainedModel

from derain_plugin.models import RTDETRHead
from derain_plugin.models.dense_heads import rtdetr_head


@pytest.fixture
def arch():
    return "r18"


@pytest.fixture
def model(arch):
    return our_copy(tiny_twin(arch, num_classes=3), tiny_rtdetr_cfg(3, arch))


def losses_of(model, boxes_per_image):
    torch.manual_seed(0)
    samples = data_samples(boxes_per_image, (64, 64), num_classes=3)
    images = torch.rand(len(boxes_per_image), 3, 64, 64)
    torch.manual_seed(1)
    return model(images, samples, mode="loss")


@pytest.mark.parametrize("arch", FAMILY)
def test_losses_divide_by_the_mean_number_of_boxes_over_ranks(model, monkeypatch):
    alone = losses_of(model, [3, 1])
    monkeypatch.setattr(rtdetr_head, "reduce_mean", lambda number: number * 0 + 8.0)
    among_ranks = losses_of(model, [3, 1])
    for name, loss in among_ranks.items():
        is_mean = name.startswith("loss_ddf")  # over queries
        torch.testing.assert_close(loss, alone[name] * (1 if is_mean else 4 / 8), msg=name)


@pytest.mark.parametrize("arch", ["rfdetr_nano"])
def test_a_loss_that_knows_of_ranks_is_left_alone(model, monkeypatch):
    """transformers divides RF-DETR's by the mean number of boxes over the ranks itself."""
    alone = losses_of(model, [3, 1])
    monkeypatch.setattr(rtdetr_head, "reduce_mean", lambda number: number * 0 + 8.0)
    assert losses_of(model, [3, 1]) == alone


@pytest.mark.parametrize("arch", ["r18", "deimv2_n"])
def test_an_empty_rank_counts_as_the_others_do(model, monkeypatch):
    name = model.bbox_head.detr.class_loss
    alone = losses_of(model, [0])[name]
    assert alone > 0
    monkeypatch.setattr(rtdetr_head, "reduce_mean", lambda number: number + 5.0)
    torch.testing.assert_close(losses_of(model, [0])[name], alone / 5)


@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED])
@pytest.mark.parametrize("boxes_per_image", [[0, 0], [0, 2], [40]])
def test_every_parameter_has_a_gradient_whatever_the_boxes(model, boxes_per_image):
    model.train()
    sum(losses_of(model, boxes_per_image).values()).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in trained.values())


@pytest.mark.parametrize("arch", TINY_OF)
def test_an_image_with_fewer_locations_than_queries_is_refused(model):
    message = r"locations on maps of .*, fewer than the \d+ queries: take larger images"
    with pytest.raises(ValueError, match=message):
        model.eval()(torch.rand(1, 3, 32, 32), data_samples([1], (32, 32)), mode="predict")


@pytest.mark.parametrize("arch", [*FAMILY, "rfdetr_nano"])
def test_loss_under_autocast_is_computed_in_fp32(model, monkeypatch):
    seen = []
    inner = PreTrainedModel.loss_function.fget

    def spying(decoder):
        loss_function = inner(decoder)

        def spy(logits, *args, **kwargs):
            seen.append((logits.dtype, torch.is_autocast_enabled("cpu")))
            return loss_function(logits, *args, **kwargs)

        return spy

    monkeypatch.setattr(PreTrainedModel, "loss_function", property(spying))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model.train(), [3, 2])
        assert model(torch.rand(1, 3, 64, 64), mode="tensor")[0].dtype == torch.bfloat16
    assert seen == [(torch.float32, False)]
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("toward", [-4.0, 4.0], ids=["top left", "bottom right"])
def test_predictions_are_in_pixels_of_the_original_image(model, toward):
    samples = data_samples([0], (64, 64), num_classes=3)
    samples[0].set_metainfo(
        dict(batch_input_shape=(64, 96), img_shape=(64, 80), scale_factor=(0.5, 2.0))
    )
    images = torch.rand(1, 3, 64, 96)
    model.eval()
    with torch.no_grad():
        last_layer = model.bbox_head.detr.model.decoder.bbox_embed[-1].layers[-1]
        last_layer.bias.copy_(torch.tensor([toward, toward, 4, 4]))  # huge boxes in a corner
        feats = model.extract_feat(images)
        boxes = model.bbox_head.predict(feats, samples, rescale=True)[0].bboxes
        unscaled = model.bbox_head.predict(feats, samples, rescale=False)[0].bboxes
    assert unscaled.min() >= 0
    assert (unscaled <= torch.tensor([80, 64, 80, 64])).all()
    if toward < 0:
        assert (unscaled[:, :2] == 0).any(0).all()
    else:
        assert (unscaled[:, 2:] == torch.tensor([80, 64])).any(0).all()
    torch.testing.assert_close(boxes, unscaled / torch.tensor([0.5, 2.0, 0.5, 2.0]))


@pytest.mark.parametrize(("max_per_img", "kept"), [(5, 5), (1000, 90)])
def test_max_per_img(max_per_img, kept):
    model = build(dict(tiny_rtdetr_cfg(num_classes=3), test_cfg=dict(max_per_img=max_per_img)))
    with torch.no_grad():
        found = model.eval()(torch.rand(1, 3, 64, 64), data_samples([0], (64, 64)), mode="predict")
    assert len(found[0].pred_instances) == kept


@pytest.mark.parametrize("arch", FAMILY)
def test_starts_as_upstream_does(arch):
    model = build(tiny_rtdetr_cfg(3, arch))
    model.init_weights()
    detr = model.bbox_head.detr.model
    prior = -math.log(99)
    for layer in (detr.enc_score_head, *detr.decoder.class_embed):
        torch.testing.assert_close(layer.bias, torch.full((3,), prior))
    for head in (detr.enc_bbox_head, *detr.decoder.bbox_embed):
        assert not head.layers[-1].weight.any()
    offsets = detr.decoder.layers[0].encoder_attn.sampling_offsets
    assert not offsets.weight.any()
    refines = arch.startswith(("dfine", "deimv2"))
    points = [[1, 2], [1, 2, 3], [1]] if refines else [[1, 2, 3, 4]] * 3
    first_head, second_head = offsets.bias.view(2, -1, 2).tolist()  # to the right, to the left
    expected = [[float(radius), 0.0] for level in points for radius in level]
    torch.testing.assert_close(first_head, expected)
    torch.testing.assert_close([[-x, y] for x, y in second_head], expected, atol=1e-5, rtol=0)
    if not refines:
        assert all(p[1].weight.eq(1).all() for p in detr.decoder_input_proj)
    logits, boxes = model.eval()(torch.rand(1, 3, 64, 64), mode="tensor")
    assert logits.sigmoid().mean() < 0.05
    assert boxes.isfinite().all()


@pytest.mark.parametrize("arch", ["dfine_s", "deimv2_n"])
def test_what_dfine_has_starts_as_upstream_has_it(arch):
    decoder = build(tiny_rtdetr_cfg(arch=arch)).bbox_head.detr.model.decoder
    assert (decoder.up.item(), decoder.reg_scale.item()) == (0.5, 4.0)
    zero = [decoder.pre_bbox_head.layers[-1]]
    zero += [layer.gateway.gate for layer in decoder.layers]
    zero += [quality.reg_conf.layers[-1] for quality in decoder.lqe_layers]
    assert not any(layer.weight.any() or layer.bias.any() for layer in zero)


def test_rtdetrv2_projects_with_xavier():
    torch.manual_seed(0)
    overrides = dict(FAMILY["rtdetrv2_r18"], decoder_in_channels=[96, 96, 96])
    for proj in RTDETRHead(2, "rtdetrv2_r18", **overrides).detr.model.decoder_input_proj:
        weight = proj[0].weight  # (32, 96, 1, 1)
        assert 0.95 < weight.abs().max() / math.sqrt(6 / (32 + 96)) <= 1


@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED])
def test_loss_of_nan_predictions_is_nan_and_reaches_every_parameter(model):
    """The matcher would raise an error on one rank, and the others would wait."""
    reached = []
    for value in (0.5, math.nan):
        model.zero_grad()
        images = torch.full((2, 3, 64, 64), value)
        losses = model(images, data_samples([2, 1], (64, 64)), mode="loss")
        loss, _ = model.parse_losses(losses)
        assert bool(loss.isnan()) == math.isnan(value)
        loss.backward()
        reached.append({n for n, item in model.named_parameters() if item.grad is not None})
    assert reached[0] == reached[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(num_classes=0), "num_classes must be at least 1, got 0"),
        (dict(num_classes=2, num_labels=3), "num_classes instead of num_labels"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        RTDETRHead(**settings, **TINY)

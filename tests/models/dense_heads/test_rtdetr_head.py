import math

import pytest
import torch
from tiny_rtdetr import TINY, build, data_samples, our_copy, tiny_rtdetr_cfg, transformers_twin

from derain_plugin.models import RTDETRHead
from derain_plugin.models.dense_heads import rtdetr_head
from derain_plugin.models.layers.rtdetr_decoder import RTDETRDecoder


@pytest.fixture
def model():
    return our_copy(transformers_twin(num_classes=3, **TINY), tiny_rtdetr_cfg(num_classes=3))


def losses_of(model, boxes_per_image):
    torch.manual_seed(0)
    samples = data_samples(boxes_per_image, (64, 64), num_classes=3)
    images = torch.rand(len(boxes_per_image), 3, 64, 64)
    torch.manual_seed(1)
    return model(images, samples, mode="loss")


def test_losses_divide_by_the_mean_number_of_boxes_over_ranks(model, monkeypatch):
    alone = losses_of(model, [3, 1])
    monkeypatch.setattr(rtdetr_head, "reduce_mean", lambda number: number * 0 + 8.0)
    among_ranks = losses_of(model, [3, 1])
    for name, loss in among_ranks.items():
        torch.testing.assert_close(loss, alone[name] * 4 / 8, msg=name)


def test_an_empty_rank_counts_as_the_others_do(model, monkeypatch):
    alone = losses_of(model, [0])["loss_vfl"]
    assert alone > 0
    monkeypatch.setattr(rtdetr_head, "reduce_mean", lambda number: number + 5.0)
    torch.testing.assert_close(losses_of(model, [0])["loss_vfl"], alone / 5)


@pytest.mark.parametrize("boxes_per_image", [[0, 0], [0, 2], [40]])
def test_every_parameter_has_a_gradient_whatever_the_boxes(model, boxes_per_image):
    model.train()
    sum(losses_of(model, boxes_per_image).values()).backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert missing == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_loss_under_autocast_is_computed_in_fp32(model, monkeypatch):
    seen = []
    inner = RTDETRDecoder.__mro__[1].loss_function.fget

    def spying(decoder):
        loss_function = inner(decoder)

        def spy(logits, *args, **kwargs):
            seen.append((logits.dtype, torch.is_autocast_enabled("cpu")))
            return loss_function(logits, *args, **kwargs)

        return spy

    monkeypatch.setattr(RTDETRDecoder.__mro__[1], "loss_function", property(spying))
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


def test_starts_as_upstream_does():
    model = build(tiny_rtdetr_cfg(num_classes=3))
    model.init_weights()
    detr = model.bbox_head.detr.model
    prior = -math.log(99)
    for layer in (detr.enc_score_head, *detr.decoder.class_embed):
        torch.testing.assert_close(layer.bias, torch.full((3,), prior))
    for head in (detr.enc_bbox_head, *detr.decoder.bbox_embed):
        assert not head.layers[-1].weight.any()
    offsets = detr.decoder.layers[0].encoder_attn.sampling_offsets
    assert not offsets.weight.any()
    assert offsets.bias.view(2, 3, 4, 2)[0, :, :, 0].tolist() == [[1, 2, 3, 4]] * 3
    assert all(p[1].weight.eq(1).all() for p in detr.decoder_input_proj)
    logits, boxes = model.eval()(torch.rand(1, 3, 64, 64), mode="tensor")
    assert logits.sigmoid().mean() < 0.05
    assert boxes.isfinite().all()


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

"""Our split RF-DETR and LW-DETR compute what transformers' unsplit models compute."""

import pytest
import torch
from tiny_rtdetr import (
    GROUPED,
    data_samples,
    our_copy,
    rtdetr_cfg,
    tiny_rtdetr_cfg,
    tiny_twin,
    to_transformers_labels,
    transformers_twin,
)

from derain_plugin.hf.hf_checkpoint import to_mmdet_keys

FULL_SIZES = dict(
    rfdetr_nano=[(1, 384, 384), (2, 320, 320)],
    rfdetr_base=[(1, 280, 280)],
    lwdetr_tiny=[(1, 384, 320), (2, 192, 256)],
    lwdetr_large=[(2, 256, 192)],
)
EVERY = pytest.mark.parametrize("arch", GROUPED)


def assert_detect_alike(model, twin, sizes):
    for count, height, width in sizes:
        images = torch.rand(count, 3, height, width)
        with torch.no_grad():
            logits, boxes = model.eval()(images, mode="tensor")
            expected = twin.eval()(images)
        assert logits.std() > 0.1
        torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)
        torch.testing.assert_close(boxes, expected.pred_boxes, atol=1e-5, rtol=0)


@EVERY
def test_logits_and_boxes(arch):
    twin = tiny_twin(arch, num_classes=7)
    model = our_copy(twin, tiny_rtdetr_cfg(7, arch))
    assert_detect_alike(model, twin, [(1, 96, 96), (2, 128, 128)])


@pytest.mark.slow
@pytest.mark.parametrize("arch", FULL_SIZES)
def test_logits_and_boxes_of_full_size(arch):
    twin = transformers_twin(arch, num_classes=7)
    assert_detect_alike(our_copy(twin, rtdetr_cfg(arch, num_classes=7)), twin, FULL_SIZES[arch])


@EVERY
@pytest.mark.parametrize("weights", [{}, dict(class_loss_coefficient=3, giou_loss_coefficient=0.5)])
def test_losses_and_gradients(arch, weights):
    twin = tiny_twin(arch, num_classes=3, **weights).train()
    model = our_copy(twin, tiny_rtdetr_cfg(3, arch, **weights)).train()
    images, samples = torch.rand(2, 3, 96, 96), data_samples([4, 2], (96, 96), num_classes=3)
    torch.manual_seed(7)
    expected = twin(images, labels=to_transformers_labels(samples))
    expected.loss.backward()
    torch.manual_seed(7)
    losses = model(images, samples, mode="loss")
    loss, _ = model.parse_losses(losses)
    loss.backward()

    config = twin.config
    factors = dict(
        loss_ce=config.class_loss_coefficient,
        loss_bbox=config.bbox_loss_coefficient,
        loss_giou=config.giou_loss_coefficient,
    )
    assert losses.keys() == {f"{name}{end}" for name in factors for end in ("", "_0", "_enc")}
    for name, found in losses.items():
        kind = name.removesuffix("_0").removesuffix("_enc")
        wanted = expected.loss_dict[name] * factors[kind]
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0, msg=name)
    torch.testing.assert_close(loss, expected.loss, rtol=1e-5, atol=0)
    gradients = to_mmdet_keys({name: p.grad for name, p in twin.named_parameters()})
    for name, parameter in model.named_parameters():
        if gradients[name] is None:
            assert not parameter.requires_grad, name
            continue
        error = (parameter.grad - gradients[name]).norm() / gradients[name].norm().clamp(min=1e-12)
        assert error <= 1e-4, name


@EVERY
def test_groups_of_queries_are_for_training_alone(arch):
    model = our_copy(tiny_twin(arch), tiny_rtdetr_cfg(arch=arch)).eval()
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        logits, _ = model(images, mode="tensor")
        detr = model.bbox_head.detr
        for embeddings in (detr.model.query_feat, detr.model.reference_point_embed):
            embeddings.weight[15:] += 1
        detr.model.enc_output[1].weight += 1
        assert torch.equal(model(images, mode="tensor")[0], logits)
        assert logits.shape == (1, 15, 2)
        assert model.train()(images, mode="tensor")[0].shape == (1, 45, 2)


@EVERY
def test_predictions_are_transformers_top_k(arch):
    twin = tiny_twin(arch, num_classes=3).eval()
    model = our_copy(twin, tiny_rtdetr_cfg(3, arch)).eval()
    images, samples = torch.rand(2, 3, 96, 96), data_samples([0, 0], (96, 96))
    with torch.no_grad():
        predictions, outputs = model(images, samples, mode="predict"), twin(images)
    for index, prediction in enumerate(predictions):
        scores, order = outputs.logits[index].sigmoid().flatten().sort(descending=True)
        found = prediction.pred_instances
        torch.testing.assert_close(found.scores, scores)
        centre, size = outputs.pred_boxes[index][order // 3].split(2, 1)
        boxes = torch.cat([centre - size / 2, centre + size / 2], 1) * 96
        torch.testing.assert_close(found.bboxes, boxes.clamp(0, 96))

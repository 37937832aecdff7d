"""Our split detectors of the RT-DETR family compute what transformers' unsplit models compute."""

import pytest
import torch
from tiny_rtdetr import (
    FAMILY,
    TINY_OF,
    data_samples,
    our_copy,
    rtdetr_cfg,
    tiny_rtdetr_cfg,
    tiny_twin,
    to_transformers_labels,
    transformers_twin,
)

from derain_plugin.hf.hf_checkpoint import to_mmdet_keys

FULL_SIZE = [(1, 3, 640, 640), (2, 3, 320, 480)]
SMALL = [(1, 3, 224, 224), (2, 3, 128, 160)]  # still more than 300 candidates for the queries


DISCRETE = dict(decoder_method="discrete")  # RT-DETRv2's sampling without interpolation
SHAPES = dict(
    r18=FULL_SIZE,
    r34=SMALL,
    r50=SMALL,
    r101=SMALL,
    rtdetrv2_r18=SMALL,
    dfine_s=SMALL,
    dfine_n=[(1, 3, 320, 288)],  # it has no stride of 8
    **{f"deimv2_{size}": [(1, 3, 320, 288), (2, 3, 320, 352)] for size in ("atto", "pico", "n")},
    deimv2_femto=[(2, 3, 320, 288)],
    **{f"deimv2_{size}": SMALL for size in "smlx"},
)
QUERIES = dict(deimv2_atto=100, deimv2_femto=150, deimv2_pico=200)
SLOW = ("r34", "r101", "deimv2_femto", "deimv2_m", "deimv2_l", "deimv2_x")
ARCHS = [pytest.param(arch, marks=pytest.mark.slow if arch in SLOW else ()) for arch in SHAPES]


@pytest.mark.parametrize("arch", ARCHS)
def test_logits_and_boxes(arch):
    twin = transformers_twin(arch, num_classes=7).eval()
    model = our_copy(twin, rtdetr_cfg(arch, num_classes=7)).eval()
    for shape in SHAPES[arch]:
        images = torch.rand(shape)
        with torch.no_grad():
            logits, boxes = model(images, mode="tensor")
            expected = twin(images)
        assert logits.shape == (shape[0], QUERIES.get(arch, 300), 7)
        assert logits.std() > 0.1
        torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)
        torch.testing.assert_close(boxes, expected.pred_boxes, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arch", "overrides", "size"),
    [
        ("r18", {}, (224, 256)),
        ("r50", {}, (128, 160)),
        *((arch, tiny, (96, 64)) for arch, tiny in TINY_OF.items()),
        *((arch, FAMILY[arch] | DISCRETE, (96, 64)) for arch in ("rtdetrv2_r18", "dfine_s")),
    ],
    ids=["r18", "r50", *(f"tiny {arch}" for arch in TINY_OF), "discrete v2", "discrete D-FINE"],
)
def test_losses_and_gradients(arch, overrides, size):
    twin = transformers_twin(arch, num_classes=3, **overrides).train()
    model = our_copy(twin, rtdetr_cfg(arch, num_classes=3, **overrides)).train()
    images = torch.rand(2, 3, *size)
    samples = data_samples([4, 2], size, num_classes=3)
    labels = to_transformers_labels(samples)

    torch.manual_seed(7)
    expected = twin(images, labels=labels)
    expected.loss.backward()
    torch.manual_seed(7)
    losses = model(images, samples, mode="loss")
    sum(losses.values()).backward()

    assert losses.keys() == expected.loss_dict.keys()
    assert any("_dn_" in name for name in losses)
    refines = arch.startswith(("dfine", "deimv2"))
    assert any(name.startswith("loss_ddf") for name in losses) == refines
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected.loss_dict[name], rtol=1e-5, atol=0, msg=name)
    gradients = to_mmdet_keys({name: p.grad for name, p in twin.named_parameters()})
    for name, parameter in model.named_parameters():
        if gradients[name] is None:
            assert parameter.grad is None, name
            continue
        error = (parameter.grad - gradients[name]).norm() / gradients[name].norm().clamp(min=1e-12)
        assert error <= 1e-4, name


@pytest.mark.parametrize("arch", TINY_OF)
def test_predictions_are_transformers_top_k(arch):
    twin = tiny_twin(arch, num_classes=3, seed=3).eval()  # with others scores may be equal
    model = our_copy(twin, tiny_rtdetr_cfg(3, arch)).eval()
    images, samples = torch.rand(2, 3, 64, 96), data_samples([0, 0], (64, 96))
    with torch.no_grad():
        predictions = model(images, samples, mode="predict")
        outputs = twin(images)
    for index, prediction in enumerate(predictions):
        scores = outputs.logits[index].sigmoid().flatten()
        expected_scores, order = scores.sort(descending=True)
        found = prediction.pred_instances
        assert len(found) == TINY_OF[arch]["num_queries"] * 3
        torch.testing.assert_close(found.scores, expected_scores)
        torch.testing.assert_close(scores[order], scores[order // 3 * 3 + found.labels])
        cx, cy, w, h = outputs.pred_boxes[index][order // 3].unbind(1)
        boxes = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1)
        size = torch.tensor([96, 64, 96, 64])
        expected = (boxes * size).clamp(min=0).minimum(size)
        torch.testing.assert_close(found.bboxes, expected)

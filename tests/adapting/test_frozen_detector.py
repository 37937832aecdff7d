"""Detectors of both libraries, frozen, with a neck that goes in and out."""

import cv2
import pytest
import torch
from mmengine.dataset import pseudo_collate
from small_detectors import KINDS, PIPELINE, frozen, model_of, prepare_for
from tiny_rtdetr import our_copy, tiny_rtdetr_cfg, tiny_twin
from torch import nn

from derain_plugin.adapting.adapt import PipelineSample
from derain_plugin.adapting.base_weights import backbone_hash, hash_of
from derain_plugin.adapting.dense_outputs import kind_of
from derain_plugin.adapting.frozen_detector import default_derain, freeze
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import Adaptation
from derain_plugin.adapting.twins import RainyTwins


def batch_of(detector, photos, clean_share=0.0):
    twins = RainyTwins(photos, detector.prepare, num_samples=2, clean_share=clean_share)
    twins.set_run_seed(0)
    return pseudo_collate([twins[0], twins[1]])


def shake(derain: nn.Module, size: float = 0.2) -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in derain.parameters():
            parameter.add_(torch.randn_like(parameter) * size)


def _is_in(parameter, detector) -> bool:
    return any(parameter is each for each in detector.derain.parameters())


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_told_apart(name):
    assert kind_of(model_of(name)).name == KINDS[name]


def test_a_fresh_neck_in_clean_weather_has_no_loss(detector, photos):
    losses = Adaptation(detector, LossWeights())(**batch_of(detector, photos, clean_share=1.0))
    assert set(losses) == {"loss_features", "loss_classes", "loss_boxes"}
    for loss in losses.values():
        assert loss.item() == pytest.approx(0, abs=1e-4)


def test_rain_has_losses_whose_gradients_reach_the_neck_alone(detector, photos):
    shaken = {k: v.clone() for k, v in detector.derain.state_dict().items()}
    before = hash_of(detector.weights())
    shake(detector.derain)
    losses = Adaptation(detector, LossWeights())(**batch_of(detector, photos))
    assert all(loss.item() > 0 for loss in losses.values())
    for name, loss in losses.items():
        detector.model.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        grads = [p.grad for p in detector.derain.parameters() if p.grad is not None]
        assert sum(float(grad.abs().sum()) for grad in grads) > 0, name
    others = [p for p in detector.model.parameters() if not _is_in(p, detector)]
    assert all(parameter.grad is None for parameter in others)
    assert hash_of(detector.weights()) == before
    assert not any(module.training for module in detector.model.modules())
    detector.derain.load_state_dict(shaken)
    detector.model.zero_grad(set_to_none=True)


def test_taken_out_the_detector_is_what_it_was(detector, photos):
    image = cv2.imread(str(photos[0]))
    fresh = detector.detect(image)
    shaken = {k: v.clone() for k, v in detector.derain.state_dict().items()}
    shake(detector.derain)
    changed = detector.detect(image)
    with detector.plain():
        plain = detector.detect(image)
    detector.derain.load_state_dict(shaken)
    assert torch.equal(plain.scores, fresh.scores)
    assert torch.equal(plain.bboxes, fresh.bboxes)
    assert changed.scores.shape != plain.scores.shape or not torch.equal(
        changed.scores, plain.scores
    )


def test_the_neck_sees_no_padding(photos):
    """The neck of a letterboxed image sees what it sees without the padding below it."""
    steps = [PIPELINE[0], dict(type="Resize", scale=(96, 64), keep_ratio=True), PIPELINE[2]]
    padded = [*steps[:2], dict(type="Pad", size=(96, 128), pad_val=dict(img=114)), steps[2]]
    detector, masks = frozen("yolox"), []
    shake(detector.derain)
    for pipeline in (steps, padded):
        detector.prepare = PipelineSample(pipeline)
        images, samples = detector.preprocess(batch_of(detector, photos)["rainy"])
        feats = [
            torch.ones(len(images), c, s * images.shape[2] // 64, s * 3 // 2)
            for c, s in zip(detector.derain.in_channels, (8, 4, 2), strict=True)
        ]
        with detector.valid_area(samples):
            masks.append(detector.derain.rain_masks(feats)[0])
    assert masks[1].shape[2] > masks[0].shape[2]
    assert torch.equal(masks[1][:, :, 8:], torch.zeros_like(masks[1][:, :, 8:]))
    assert torch.allclose(masks[1][:, :, :8], masks[0])


@pytest.mark.parametrize("name", ["yolox", "transformers"])
def test_hashes_do_not_count_the_neck_and_notice_one_weight(name):
    model = model_of(name)
    plain = backbone_hash(model), hash_of(model.state_dict())
    detector = freeze(model, prepare_for(name))
    assert (backbone_hash(detector.model), hash_of(detector.weights())) == plain
    buffers = [b for n, b in detector.model.named_buffers() if "backbone" in n and b.ndim == 1]
    buffers[0][0] += 1
    assert backbone_hash(detector.model) != plain[0]
    assert hash_of(detector.weights()) != plain[1]


@pytest.mark.parametrize("arch", ["r18", "deimv2_n", "deimv2_s", "rfdetr_nano", "lwdetr_large"])
def test_the_same_backbone_in_both_libraries_has_one_hash(arch):
    twin = tiny_twin(arch)
    found = backbone_hash(twin)
    assert found == backbone_hash(our_copy(twin, tiny_rtdetr_cfg(arch=arch)))
    assert found != backbone_hash(tiny_twin(arch, seed=1))


@pytest.mark.parametrize("arch", ["r18", "deimv2_n", "deimv2_s", "rfdetr_nano", "lwdetr_large"])
def test_the_default_neck_is_narrow_behind_a_vit_in_both_libraries(arch):
    narrow = arch in ("deimv2_s", "rfdetr_nano", "lwdetr_large")
    options = dict(num_residual_blocks=1, reduction=8) if narrow else {}
    expected = dict(type="MultiScaleFeatureDerain", **options)
    twin = tiny_twin(arch)
    assert default_derain(twin) == expected
    assert default_derain(our_copy(twin, tiny_rtdetr_cfg(arch=arch))) == expected


def test_what_cannot_be_adapted_is_refused_by_name():
    with pytest.raises(TypeError, match=r"Linear cannot be adapted.*rt_detr"):
        freeze(nn.Linear(1, 1), None)


def test_corners_are_taught_by_features_alone(photos):
    """CornerNet has no neck, and no boxes whose distance would mean something."""
    detector = frozen("cornernet")
    assert detector.kind.name == "other"
    assert detector.derain.in_channels == (8, 8)  # of two stacked hourglasses
    losses = Adaptation(detector, LossWeights())(**batch_of(detector, photos))
    assert set(losses) == {"loss_features"}


@pytest.mark.parametrize("name", ["single_map", "c4"])
def test_a_detector_without_a_neck_has_none_again(name):
    model = model_of(name)
    before = list(model.state_dict()), list(model.named_modules())
    detector = freeze(model, prepare_for(name))
    assert model.with_neck
    detector.take_out()
    assert not hasattr(model, "neck")
    assert not model.with_neck
    assert (list(model.state_dict()), list(model.named_modules())) == before

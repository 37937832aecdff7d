"""Losses of arms that train more than the neck."""

import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from small_detectors import frozen, write_photos
from torch import nn

from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import Adaptation
from derain_plugin.adapting.twins import RainyTwins
from projects.study.real.students import FogStudent, LabelledStudent, RestorerStudent, Student


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


def batch_of(detector, photos, **options):
    twins = RainyTwins(photos, detector.prepare, num_samples=2, clean_share=0, **options)
    twins.set_run_seed(0)
    return pseudo_collate([twins[0], twins[1]])


@pytest.fixture
def detector():
    made = frozen("yolox")
    with torch.no_grad():
        for parameter in made.derain.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return made


def test_a_student_has_the_losses_of_derain_adapt(detector, photos):
    batch = batch_of(detector, photos)
    expected = Adaptation(detector, LossWeights(1, 2, 3))(**batch)
    found = Student(detector, copy.deepcopy(detector), LossWeights(1, 2, 3))(**batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value > 0
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_all_weights_get_gradients_and_statistics_stay(detector, photos):
    teacher = copy.deepcopy(detector)
    detector.take_out()
    detector.model.requires_grad_(True)
    before = hash_of(dict(detector.model.named_buffers()))
    losses = Student(detector, teacher, LossWeights())(**batch_of(detector, photos))
    sum(losses.values()).backward()
    for name, parameter in detector.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert hash_of(dict(detector.model.named_buffers())) == before
    assert not any(parameter.requires_grad for parameter in teacher.model.backbone.parameters())


def test_the_teacher_does_not_learn_with_the_student(detector, photos):
    batch, student = (
        batch_of(detector, photos),
        Student(detector, copy.deepcopy(detector), LossWeights()),
    )
    batch["rainy"] = batch["clean"]
    with torch.no_grad():
        before = sum(student(**batch).values())
        for parameter in detector.model.backbone.parameters():
            parameter += 0.1 * torch.randn_like(parameter) * parameter.abs()
        after = sum(student(**batch).values())
    assert after > before


def test_labels_give_the_detectors_own_loss(detector, photos):
    objects = InstanceData(
        bboxes=torch.tensor([[5.0, 5.0, 40.0, 40.0]]),
        labels=torch.tensor([1]),
        is_crowd=torch.tensor([False]),
    )
    detector.take_out()
    detector.model.requires_grad_(True)
    batch = batch_of(detector, photos, labels=dict.fromkeys(photos, objects))
    loss = LabelledStudent(detector)(**batch)["loss_detection"]
    loss.backward()
    assert loss > 0
    first = next(detector.model.backbone.parameters())
    assert first.grad.abs().sum() > 0
    assert not detector.model.training


def test_fog_is_seen_by_a_slow_neck(detector, photos):
    batch = batch_of(detector, photos)
    student = FogStudent(
        detector, LossWeights(), lambda: dict(batch, rainy=batch["clean"]),
        fog_weight=2.0, momentum=0.5,
    )  # fmt: skip
    losses = student(**batch)
    # Both necks are still the same, and both views are.
    assert all(abs(value) < 1e-4 for name, value in losses.items() if name.endswith("_fog"))
    with torch.no_grad():
        for parameter in detector.derain.parameters():
            parameter += 0.1
    losses = student(**batch)
    slow = nn.utils.parameters_to_vector(student._slow.module.parameters())
    now = nn.utils.parameters_to_vector(detector.derain.parameters())
    torch.testing.assert_close(slow, now - 0.05)
    assert losses["loss_features_fog"] > 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in detector.derain.parameters())
    assert all(p.grad is None for p in student._slow.parameters())


def test_a_restorer_learns_from_crops_without_padding(detector, photos):
    config = dict(type="SPDNet", n_feats=6, num_blocks=1, scale=255.0, identity=True)
    student, batch = RestorerStudent(detector, config, side=24), batch_of(detector, photos)
    shapes = [sample.img_shape for sample in detector.preprocess(batch["clean"])[1]]
    for _ in range(20):
        _, rows, columns = student._draw_window(shapes)
        assert rows.stop - rows.start == columns.stop - columns.start == 24
        assert rows.stop <= min(height for height, _ in shapes)
        assert columns.stop <= min(width for _, width in shapes)
    rainy = sum(student(**batch).values())
    assert rainy > sum(student(**dict(batch, rainy=batch["clean"])).values())
    rainy.backward()
    assert all(parameter.grad is not None for parameter in student.supervised.parameters())

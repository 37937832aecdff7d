"""The filter in front of a detector: the identity at first, then what its strengths say."""

import cv2
import pytest
import torch
from torch import nn

from derain_plugin.models.layers.valid_area import valid_area
from projects.study.real.image_filter import ImageFilter, correct, put_in_front


@pytest.fixture
def images():
    blocks = torch.rand(2, 3, 5, 7) * 255
    image = nn.functional.interpolate(blocks, (41, 53), mode="bilinear").round()
    image[:, :, 0, 0], image[:, :, 1, 1] = 0, 255
    return image


def test_a_fresh_filter_is_bitwise_the_identity(images):
    assert torch.equal(ImageFilter()(images), images)


def test_every_parameter_gets_a_gradient(images):
    made = ImageFilter()
    nn.init.normal_(made.strengths.weight, std=0.1)
    made(images).square().mean().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def dark(image):
    return image.amin((1, 2, 3)).mean()


def spread(image):
    return image.std()


def edges(image):
    return torch.tensor(cv2.Laplacian(image[0, 1].numpy(), cv2.CV_32F)).std()


@pytest.mark.parametrize(
    ("number", "measured", "sign"),
    [(0, torch.mean, -1), (1, torch.mean, -1), (2, spread, 1), (3, edges, 1)],
    ids=["haze is taken away", "gamma darkens", "contrast", "sharpness"],
)
def test_each_strength_has_its_effect_in_both_directions(images, number, measured, sign):
    level = 0.4 + 0.3 * images / 255  # hazy, and far from both ends
    values = []
    for strength in (-0.5, 0.0, 0.5):
        strengths = [torch.zeros(2, 1, 1, 1) for _ in range(4)]
        strengths[number] += strength
        values.append(float(measured(correct(level, *strengths))))
    assert sign * values[0] < sign * values[1] < sign * values[2]


def test_padding_is_not_touched_and_not_looked_at(images):
    backbone, made = nn.Identity(), ImageFilter()
    nn.init.normal_(made.strengths.weight, std=0.1)
    put_in_front(made, backbone)
    padded = [nn.functional.pad(images, (0, 0, 0, 12), value=value) for value in (114, 0)]
    with valid_area([(41, 53)] * 2, (53, 53)):
        first, second = (backbone(each) for each in padded)
    assert torch.equal(first[:, :, :41], second[:, :, :41])
    assert (first[:, :, 41:] == 114).all()
    assert not torch.equal(first[:, :, :41], images)

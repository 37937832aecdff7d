"""The filter in front of a backbone: the identity at first, then what its strengths say."""

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from derain_plugin.models import ImageFilter, add_image_filter, valid_area
from derain_plugin.models.backbones import remove_image_filter
from derain_plugin.models.backbones.image_filter import find_haze

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
NORMALISED = [{}, dict(std=[255.0]), IMAGENET]


@pytest.fixture
def images():
    blocks = torch.rand(2, 3, 5, 7)
    return nn.functional.interpolate(blocks, (41, 53), mode="bilinear") * 255


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(images)


@pytest.fixture
def backbone():
    return Backbone()


def normalise(images, mean=(0.0,), std=(1.0,)):
    mean, std = (torch.tensor(each)[:, None, None] for each in (mean, std))
    return (images - mean) / std


def filter_of(strengths, **options):
    """Return a filter that corrects every image alike."""
    made = ImageFilter(**options)
    made.strengths.bias.data = torch.tensor(strengths).atanh()
    return made


def seeing(**options):
    """Return one that corrects each image as it looks."""
    made = ImageFilter(**options)
    nn.init.normal_(made.strengths.weight, std=0.3)
    return made


@pytest.mark.parametrize("options", NORMALISED)
def test_a_fresh_filter_is_bitwise_the_identity(images, options):
    given = normalise(images * 1.5 - 20, **options)  # not all within 0-255
    assert torch.equal(ImageFilter(**options)(given), given)


def test_every_parameter_gets_a_gradient(images):
    made = seeing()
    made(images).square().mean().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_gradients_are_those_of_finite_differences():
    made = filter_of([0.4, 0.2]).double()
    images = (torch.rand(1, 3, 8, 12) * 255).double()
    bias = made.strengths.bias
    (gradient,) = torch.autograd.grad(made(images).sum(), bias)
    for number in range(2):
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                bias[number] += step
                values.append(made(images).sum())
                bias[number] -= step
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(gradient[number].item(), rel=1e-5)


@pytest.mark.parametrize("options", NORMALISED)
@pytest.mark.parametrize("strengths", [(0.5, 0.0), (0.0, -0.4), (0.3, 0.2)])
def test_it_computes_both_equations_on_levels_of_0_to_1(images, strengths, options):
    haze, contrast = strengths
    level = images / 255

    def corrected(image, gain, light):
        return light + (image - light) * (1 + gain)

    small = nn.functional.avg_pool2d(level, 4, ceil_mode=True, count_include_pad=False)
    gain, light = find_haze(small, torch.full((2, 1, 1, 1), haze))
    middle = corrected(small, gain, light).mean((1, 2, 3), keepdim=True)
    wide = nn.functional.interpolate(gain, level.shape[-2:], mode="bilinear")
    expected = corrected(level, wide, light)
    expected = expected + contrast * (expected - middle)
    found = filter_of(strengths, **options)(normalise(images, **options))
    torch.testing.assert_close(found, normalise(255 * expected, **options), rtol=1e-4, atol=2e-3)


def test_haze_that_was_put_on_is_taken_away():
    clear = torch.zeros(1, 3, 128, 64)
    clear[:, 0, 96:] = 0.6  # its darkest channel is 0 everywhere
    light, transmission = torch.tensor([0.8, 0.8, 0.9])[:, None, None], 0.7
    hazy = clear * transmission + light * (1 - transmission)
    hazy[..., :40, :] = light  # sky, which tells the colour of the haze
    found = filter_of([0.999, 0.0], std=[255.0])(hazy)
    torch.testing.assert_close(found[..., 64:, :], clear[..., 64:, :], rtol=0, atol=0.05)
    assert (hazy - clear)[..., 64:, :].abs().mean() > 0.2


@pytest.mark.parametrize(
    ("number", "measured", "sign"),
    [(0, torch.mean, -1), (1, torch.std, 1)],
    ids=["haze is taken away", "contrast"],
)
def test_each_strength_has_its_effect_in_both_directions(images, number, measured, sign):
    values = []
    for strength in (-0.5, 0.0, 0.5):
        strengths = [0.0, 0.0]
        strengths[number] = strength
        values.append(float(measured(filter_of(strengths)(80 + 0.3 * images))))
    assert sign * values[0] < sign * values[1] < sign * values[2]


def test_padding_is_not_touched_and_not_looked_at(images):
    made = seeing()
    padded = [nn.functional.pad(images, (0, 0, 0, 12), value=value) for value in (114, 0)]
    with valid_area([(41, 53)] * 2, (53, 53)):
        first, second = (made(each) for each in padded)
    torch.testing.assert_close(first[:, :, :41], made(images))
    assert torch.equal(first[:, :, :41], second[:, :, :41])
    assert (first[:, :, 41:] == 114).all()
    assert not torch.equal(first[:, :, :41], images)


def test_images_of_a_batch_do_not_see_each_other(images):
    made = seeing()
    torch.testing.assert_close(made(images)[1:], made(images[1:]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(std=[0.0]), r"std must be .* above 0, got \(0.0,\)"),
        (dict(mean=[1.0, 2.0]), r"mean must be one number or one per channel, got \(1.0, 2.0\)"),
    ],
)
def test_a_normalisation_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageFilter(**options)


def test_a_backbone_filters_its_images_and_gets_rid_of_that_again(backbone, images):
    vanilla, made = backbone(images), seeing()
    names = set(backbone.state_dict())
    filtered = add_image_filter(backbone, made)
    assert filtered is backbone
    torch.testing.assert_close(backbone(images), backbone.conv(made(images)))
    assert not torch.equal(backbone(images), vanilla)
    assert set(backbone.state_dict()) - names == {
        f"image_filter.{name}" for name in made.state_dict()
    }
    assert remove_image_filter(backbone) is made
    assert set(backbone.state_dict()) == names
    assert torch.equal(backbone(images), vanilla)
    add_image_filter(backbone, made)  # and again


def test_a_config_builds_it_and_vanilla_checkpoints_load():
    vanilla = dict(type="mmdet.ResNet", depth=18, norm_eval=True)
    weights = MODELS.build(vanilla).state_dict()
    config = dict(
        type="FilteredBackbone", backbone=vanilla, image_filter=dict(type="ImageFilter", **IMAGENET)
    )
    built = MODELS.build(config)
    built.load_state_dict(weights)
    assert built.image_filter.settings == dict(config["image_filter"], width=32)


def test_a_second_filter_is_refused(backbone):
    add_image_filter(backbone, ImageFilter())
    with pytest.raises(ValueError, match="this Backbone has an image_filter already"):
        add_image_filter(backbone, ImageFilter())

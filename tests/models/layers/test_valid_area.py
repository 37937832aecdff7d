"""De-rain blocks clean an image alike, however much padding it has in its batch."""

import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from derain_plugin.models import EarlyFeatureDerain, valid_area

CHANNELS = (8, 16)
NECKS = ("MultiScaleFeatureDerain", "LightweightFeatureDerain", "PlainFeatureRefine")
SIZES = [(64, 72), (40, 96), (64, 72)]  # px of three images in a batch of 96 x 96
CELLS = [[(8, 9), (5, 12), (8, 9)], [(4, 5), (3, 6), (4, 5)]]  # strides 8 and 16, rounded up
PADDED = (96, 96)


def opened(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture(params=NECKS)
def neck(request) -> nn.Module:
    return opened(MODELS.build(dict(type=request.param, in_channels=CHANNELS)))


def feats(padding: float = 0.0) -> tuple[Tensor, ...]:
    """Three images whose content is always the same, and other values in the padding."""
    torch.manual_seed(1)
    levels = []
    for channels, stride, cells in zip(CHANNELS, (8, 16), CELLS, strict=True):
        level = torch.full((3, channels, 96 // stride, 96 // stride), padding)
        for image, (height, width) in enumerate(cells):
            level[image, :, :height, :width] = torch.randn(channels, height, width)
        levels.append(level)
    return tuple(levels)


@pytest.mark.parametrize("padding", [0.0, 5.0])
def test_each_image_is_cleaned_as_without_its_padding(neck, padding):
    given = feats(padding)
    with valid_area(SIZES, PADDED):
        cleaned, masks = neck.forward_with_masks(given)
    for image in range(3):
        areas = [cells[image] for cells in CELLS]
        alone = [f[image : image + 1, :, :h, :w] for f, (h, w) in zip(given, areas, strict=True)]
        for level, (height, width) in enumerate(areas):
            expected, mask = (found[level][0] for found in neck.forward_with_masks(alone))
            ours = cleaned[level][image]
            torch.testing.assert_close(ours[:, :height, :width], expected, rtol=1e-5, atol=1e-5)
            outside = torch.ones(ours.shape[-2:], dtype=torch.bool)
            outside[:height, :width] = False
            assert torch.equal(ours[:, outside], given[level][image][:, outside])
            torch.testing.assert_close(masks[level][image, :, :height, :width], mask)
            assert not masks[level][image][:, outside].any()


def test_padding_is_seen_unless_it_is_noted(neck):
    first, second = neck(feats(0.0)), neck(feats(5.0))
    assert not torch.allclose(first[0][:, :, :4, :5], second[0][:, :, :4, :5], atol=1e-3)
    with valid_area(SIZES, PADDED):
        noted = neck(feats(0.0))
    assert not torch.equal(noted[0], first[0])
    assert all(torch.equal(a, b) for a, b in zip(neck(feats(0.0)), first, strict=True))


def test_images_without_padding_are_cleaned_as_ever(neck):
    expected = neck(feats())
    with valid_area([PADDED] * 3, PADDED):
        assert all(torch.equal(a, b) for a, b in zip(neck(feats()), expected, strict=True))


def test_a_fresh_neck_is_the_identity_and_can_start_to_learn():
    neck = MODELS.build(dict(type=NECKS[0], in_channels=CHANNELS))
    with valid_area(SIZES, PADDED):
        cleaned = neck(feats())
        assert all(torch.equal(a, b) for a, b in zip(cleaned, feats(), strict=True))
        sum(level.square().mean() for level in cleaned).backward()
    assert all(block.blend.grad and block.expand.weight.grad.any() for block in neck.blocks)


@pytest.mark.parametrize("gate", [True, False])
def test_early_blocks_and_their_gate_see_no_padding(gate):
    early = opened(EarlyFeatureDerain(dict(stem=8), ("stem",), gate=gate))
    results = []
    for padding in (0.0, 5.0):
        stem = feats(padding)[0]
        with valid_area(SIZES, PADDED):
            logits = early.rain_logits(stem)
            results.append((logits, early(stem, "stem", logits)[0]))
    (logits, cleaned), (other_logits, other) = results
    if gate:
        assert logits.unique().numel() == 3
        torch.testing.assert_close(logits, other_logits)
        alone = early.rain_logits(feats()[0][1:2, :, :5, :12])
        torch.testing.assert_close(logits[1:2], alone)
    torch.testing.assert_close(cleaned[:, :, :5, :9], other[:, :, :5, :9])


@pytest.mark.parametrize("size", [(0, 8), (8, 97)])
def test_impossible_sizes_are_refused(size):
    words = rf"inside padded, \(96, 96\), got \({size[0]}, {size[1]}"
    with pytest.raises(ValueError, match=words), valid_area([size], PADDED):
        pass


def test_more_images_than_sizes_are_refused_and_fewer_are_the_first(neck):
    with valid_area(SIZES, PADDED):
        first = neck([feat[:2] for feat in feats()])
        assert torch.allclose(first[0], neck(feats())[0][:2], atol=1e-5)
    with valid_area(SIZES[:2], PADDED), pytest.raises(ValueError, match="2 sizes for 3 images"):
        neck(feats())


def test_a_graph_is_traced_as_ever():
    neck = opened(MODELS.build(dict(type=NECKS[0], in_channels=CHANNELS))).eval()
    expected = neck(feats())
    with valid_area(SIZES, PADDED):
        exported = torch.export.export(neck, (feats(),)).module()
    for ours, level in zip(exported(feats()), expected, strict=True):
        torch.testing.assert_close(ours, level)

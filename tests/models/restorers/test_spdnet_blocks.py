import pytest
import torch
from torch.nn.functional import pad

from derain_plugin.models.restorers.spdnet_blocks import (
    InteractiveFusion,
    from_haar_bands,
    haar_bands,
)

SIZES = [(2, 2), (6, 8), (5, 7), (1, 4)]


def random_features(size):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)


def test_values_are_those_of_pywavelets():
    # pywt.dwt2([[1, 2], [4, 8]], "haar") is 7.5, (-4.5, -2.5, 1.5): cA, (cH, cV, cD)
    bands = haar_bands(torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]]))
    assert bands.flatten().tolist() == [7.5, -4.5, -2.5, 1.5]


def test_details_lie_along_their_own_axis():
    steps = torch.tensor([1.0, -1.0]).repeat(3)
    rows_differ = haar_bands(steps.view(1, 1, 6, 1).expand(-1, -1, -1, 6))
    assert [bool(band.any()) for band in rows_differ[0, 0]] == [False, True, False, False]
    columns_differ = haar_bands(steps.view(1, 1, 1, 6).expand(-1, -1, 6, -1))
    assert [bool(band.any()) for band in columns_differ[0, 0]] == [False, False, True, False]


@pytest.mark.parametrize("size", SIZES)
def test_reconstruction_is_perfect(size):
    features = random_features(size)
    height, width = size
    even = pad(features, (0, width % 2, 0, height % 2))  # by zeros, which stay
    torch.testing.assert_close(from_haar_bands(haar_bands(features)), even)


@pytest.mark.parametrize("size", SIZES)
def test_transform_is_orthonormal(size):
    one, other = random_features(size), random_features(size).flip(0)
    product = (haar_bands(one) * haar_bands(other)).sum()
    torch.testing.assert_close(product, (one * other).sum())


def test_odd_sizes_are_filled_with_zeros_at_the_end():
    bands = haar_bands(torch.ones(1, 1, 3, 3))
    assert bands.shape == (1, 1, 4, 2, 2)
    assert bands[0, 0, 0].tolist() == [[2, 1], [1, 0.5]]


def test_learned_maps_mix_features_with_their_gated_selves():
    fusion = InteractiveFusion(2)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.zero_()  # the gate is then 1/2 everywhere
        fusion.image_mix.bias += torch.tensor([3.0, 4.0])
        fusion.prior_mix.bias += torch.tensor([0.0, 2.0])
    merged = []
    fusion.merge.register_forward_pre_hook(lambda _, inputs: merged.append(inputs[0]))
    image, prior = torch.rand(2, 1, 2, 5, 7)
    assert fusion(image, prior).shape == image.shape
    torch.testing.assert_close(merged[0], torch.cat([image * (3 + 4 / 2), prior * (2 / 2)], 1))

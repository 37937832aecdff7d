import pytest
import torch

from derain_plugin.models.layers.cbam import (
    CBAM,
    ChannelAttention,
    SpatialAttention,
    bottleneck_width,
)
from derain_plugin.models.layers.residual_blocks import CBAMResidualBlock


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 16, 5, 7, generator=torch.Generator().manual_seed(0))


def test_channel_attention_is_equation_2_of_the_paper(x):
    attention = ChannelAttention(16)
    by_hand = torch.stack(
        [
            torch.sigmoid(
                attention.mlp(sample.flatten(1).mean(1))
                + attention.mlp(sample.flatten(1).max(1).values)
            )
            for sample in x
        ]
    )
    torch.testing.assert_close(attention(x), by_hand.view(2, 16, 1, 1))


def test_spatial_attention_is_equation_3_of_the_paper(x):
    attention = SpatialAttention()
    pooled = torch.stack([x.mean(1), x.max(1).values], 1)
    by_hand = torch.sigmoid(
        torch.nn.functional.conv2d(pooled, attention.conv.weight, attention.conv.bias, padding=3)
    )
    torch.testing.assert_close(attention(x), by_hand)


def test_cbam_weighs_channels_then_positions(x):
    cbam = CBAM(16)
    weighed = cbam.channel(x) * x
    torch.testing.assert_close(cbam(x), cbam.spatial(weighed) * weighed)


def test_residual_block_keeps_samples_of_a_batch_apart(x):
    block = CBAMResidualBlock(16).train()
    torch.testing.assert_close(block(x)[:1], block(x[:1]))


@pytest.mark.parametrize(
    ("channels", "reduction", "width"),
    [(128, 4, 32), (256, 4, 64), (3, 4, 8), (50, 4, 16), (255, 4, 64), (64, 1, 64), (4, 64, 8)],
)
def test_bottleneck_width_rounds_up_to_eights(channels, reduction, width):
    assert bottleneck_width(channels, reduction) == width

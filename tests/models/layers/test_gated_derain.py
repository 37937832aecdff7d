import pytest
import torch

from derain_plugin.models.layers.derain_blocks import GatedDerainBlock


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 24, 5, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def block() -> GatedDerainBlock:
    torch.manual_seed(0)
    block = GatedDerainBlock(24)
    torch.nn.init.constant_(block.blend, 0.7)
    torch.nn.init.normal_(block.expand.weight)
    return block


def test_without_a_gate_it_masks_suppresses_and_refines_in_this_order(block, x):
    cleaned, mask = block(x)
    suppressed = x * (1 - 0.7 * mask)
    refined = suppressed + block.expand(block.refine(block.reduce(suppressed)))
    torch.testing.assert_close(cleaned, refined)


def test_the_gate_scales_the_change_of_each_image_and_not_the_mask(block, x):
    gate = torch.tensor([0.3, 0.0]).view(2, 1, 1, 1)
    cleaned, mask = block(x)
    gated, same_mask = block(x, gate)
    torch.testing.assert_close(gated, x + gate * (cleaned - x))
    assert torch.equal(gated[1], x[1])
    assert torch.equal(mask, same_mask)

import pytest
import torch

from derain_plugin.models.layers.derain_blocks import (
    FeatureDerainBlock,
    GatedDerainBlock,
    LightweightDerainBlock,
)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 24, 5, 7, generator=torch.Generator().manual_seed(0))


def test_multi_scale_block_masks_suppresses_and_refines_in_this_order(x):
    torch.manual_seed(0)
    block = FeatureDerainBlock(24)
    torch.nn.init.constant_(block.blend, 0.7)
    torch.nn.init.normal_(block.expand.weight)
    cleaned, mask = block(x)
    suppressed = x * (1 - 0.7 * mask)
    refined = suppressed + block.expand(block.refine(block.reduce(suppressed)))
    torch.testing.assert_close(cleaned, refined)


def test_lightweight_block_takes_a_share_and_an_offset_where_the_mask_is(x):
    block = LightweightDerainBlock(24)
    torch.nn.init.normal_(block.suppression)
    torch.nn.init.normal_(block.offset)
    cleaned, mask = block(x)
    torch.testing.assert_close(cleaned, x - mask * (block.suppression * x + block.offset))


def test_full_blend_of_a_full_mask_removes_everything_but_the_refinement(x):
    block = FeatureDerainBlock(24)
    torch.nn.init.ones_(block.blend)
    torch.nn.init.constant_(block.mask[-2].bias, 100.0)
    torch.testing.assert_close(block(x)[0], torch.zeros_like(x))


@pytest.mark.parametrize("block", [FeatureDerainBlock(24), LightweightDerainBlock(24)])
def test_mask_varies_over_the_image(block, x):
    mask = block(x)[1]
    assert mask.shape == (2, 1, 5, 7)
    assert mask.std() > 0


class TestGate:
    @pytest.fixture
    def block(self) -> FeatureDerainBlock:
        torch.manual_seed(0)
        block = FeatureDerainBlock(24, gated=True)
        torch.nn.init.constant_(block.blend, 0.7)
        torch.nn.init.normal_(block.expand.weight)
        return block

    def test_without_a_gate_it_masks_suppresses_and_refines_in_this_order(self, block, x):
        cleaned, mask = block(x)
        suppressed = x * (1 - 0.7 * mask)
        refined = suppressed + block.expand(block.refine(block.reduce(suppressed)))
        torch.testing.assert_close(cleaned, refined)

    def test_the_gate_scales_the_change_of_each_image_and_not_the_mask(self, block, x):
        gate = torch.tensor([0.3, 0.0]).view(2, 1, 1, 1)
        cleaned, mask = block(x)
        gated, same_mask = block(x, gate)
        torch.testing.assert_close(gated, x + gate * (cleaned - x))
        assert torch.equal(gated[1], x[1])
        assert torch.equal(mask, same_mask)

    def test_a_block_whose_bias_would_escape_the_gate_takes_none(self, x):
        with pytest.raises(ValueError, match="gated=True"):
            FeatureDerainBlock(24)(x, torch.ones(2, 1, 1, 1))

    def test_the_former_name_builds_the_former_block(self):
        state = GatedDerainBlock(24).state_dict()
        assert "expand.bias" not in state
        assert state["expand.weight"].shape == (24, 8, 1, 1)
        assert {name.split(".")[1] for name in state if name.startswith("refine.")} == {"0"}

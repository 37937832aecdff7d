"""A cheap residual block with CBAM."""

from derain_plugin.models.layers.cbam import CBAM
from derain_plugin.models.layers.plain_residual_block import PlainResidualBlock


class CBAMResidualBlock(PlainResidualBlock):
    """``x + CBAM(pointwise(SiLU(depthwise(norm(x)))))``.

    CBAM sits at the end of the residual branch, as in the paper's figure 3.

    Args:
        channels: Channels ``C`` of input and output.

    Shape:
        - Input and output: ``(N, C, H, W)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.branch.append(CBAM(channels))

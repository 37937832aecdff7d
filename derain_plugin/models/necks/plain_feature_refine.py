"""The control for what a de-rain neck adds beyond its capacity."""

from collections.abc import Sequence
from functools import partial

from mmdet.registry import MODELS

from derain_plugin.models.layers.block_options import check_block_options
from derain_plugin.models.layers.plain_refine_block import PlainRefineBlock
from derain_plugin.models.necks.base_feature_derain import BaseFeatureDerain


@MODELS.register_module()
class PlainFeatureRefine(BaseFeatureDerain):
    """Plain convolutions on every level, in the place of :class:`MultiScaleFeatureDerain`.

    ``x + expand(refine(reduce(x)))`` with neither rain mask nor suppression nor CBAM, but of the
    same width; a third residual block makes up for them, so that parameters and multiplications
    are those of the multi-scale neck within 5 %. If both are trained alike, what one reaches
    beyond the other is due to the parts that know of rain. A fresh neck is bitwise the identity.
    In a :class:`DerainNeck` its rain masks are zeros.

    Args:
        in_channels: Channels of each level.
        num_residual_blocks: Residual blocks per level; one more than the multi-scale neck's.
        reduction: Each level is refined at ``channels / reduction``, rounded up to a multiple
            of 8.
        init_cfg: mmengine initialisation; the identity survives anything but ``Pretrained``.

    Raises:
        ValueError: A channel count, ``num_residual_blocks`` or ``reduction`` that is no count.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_residual_blocks: int = 3,
        *,
        reduction: int = 4,
        init_cfg: dict | list | None = None,
    ) -> None:
        check_block_options(num_residual_blocks, reduction)
        build_block = partial(
            PlainRefineBlock, num_residual_blocks=num_residual_blocks, reduction=reduction
        )
        super().__init__(in_channels, build_block, init_cfg=init_cfg)

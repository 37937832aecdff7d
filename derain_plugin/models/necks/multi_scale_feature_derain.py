"""The de-rain neck for accuracy."""

from collections.abc import Sequence
from functools import partial

from mmdet.registry import MODELS

from derain_plugin.models.layers.block_options import check_block_options
from derain_plugin.models.layers.feature_derain_block import FeatureDerainBlock
from derain_plugin.models.necks.base_feature_derain import BaseFeatureDerain


@MODELS.register_module()
class MultiScaleFeatureDerain(BaseFeatureDerain):
    """Rain mask, suppression and refinement with CBAM on every level.

    The order is ``x · (1 - blend · mask)``, then residual blocks with channel and spatial
    attention (Woo et al., ECCV 2018), see :class:`FeatureDerainBlock`. A fresh neck is bitwise
    the identity. For ``(128, 256, 512)`` it has 0.25 M parameters, for ``(512, 1024, 2048)``
    3.8 M.

    Args:
        in_channels: Channels of each level.
        num_residual_blocks: Residual blocks per level; 0 keeps mask, suppression and a linear
            correction.
        reduction: Each level is refined at ``channels / reduction``, rounded up to a multiple
            of 8.
        init_cfg: mmengine initialisation; the identity survives anything but ``Pretrained``.

    Raises:
        ValueError: A channel count, ``num_residual_blocks`` or ``reduction`` that is no count.

    Example:
        >>> feats = tuple(torch.randn(1, c, s, s) for c, s in ((128, 80), (256, 40), (512, 20)))
        >>> neck = MultiScaleFeatureDerain((128, 256, 512))
        >>> [torch.equal(out, feat) for out, feat in zip(neck(feats), feats)]
        [True, True, True]
        >>> [tuple(mask.shape) for mask in neck.rain_masks(feats)]
        [(1, 1, 80, 80), (1, 1, 40, 40), (1, 1, 20, 20)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_residual_blocks: int = 2,
        *,
        reduction: int = 4,
        init_cfg: dict | list | None = None,
    ) -> None:
        check_block_options(num_residual_blocks, reduction)
        build_block = partial(
            FeatureDerainBlock, num_residual_blocks=num_residual_blocks, reduction=reduction
        )
        super().__init__(in_channels, build_block, init_cfg=init_cfg)

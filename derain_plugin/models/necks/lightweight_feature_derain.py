"""The de-rain neck for speed."""

from collections.abc import Sequence
from functools import partial

from mmdet.registry import MODELS

from derain_plugin.models.layers.lightweight_derain_block import LightweightDerainBlock
from derain_plugin.models.necks.base_feature_derain import BaseFeatureDerain


@MODELS.register_module()
class LightweightFeatureDerain(BaseFeatureDerain):
    """A spatial rain mask and per-channel suppression on every level.

    ``x - mask · (suppression · x + offset)``, see :class:`LightweightDerainBlock`. A fresh neck
    is bitwise the identity. For ``(128, 256, 512)`` it has 17 K parameters, nearly all of them
    in the 1x1 convolutions that look for rain.

    Args:
        in_channels: Channels of each level.
        hidden_channels: Channels from which each mask is estimated; even.
        init_cfg: mmengine initialisation; the identity survives anything but ``Pretrained``.

    Raises:
        ValueError: A channel count that is no count, odd ``hidden_channels``.

    Example:
        >>> feats = tuple(torch.randn(1, c, s, s) for c, s in ((128, 80), (256, 40), (512, 20)))
        >>> neck = LightweightFeatureDerain((128, 256, 512))
        >>> [torch.equal(out, feat) for out, feat in zip(neck(feats), feats)]
        [True, True, True]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        hidden_channels: int = 16,
        init_cfg: dict | list | None = None,
    ) -> None:
        if hidden_channels < 2 or hidden_channels % 2:
            raise ValueError(f"hidden_channels must be even and positive, got {hidden_channels}")
        build_block = partial(LightweightDerainBlock, hidden_channels=hidden_channels)
        super().__init__(in_channels, build_block, init_cfg=init_cfg)

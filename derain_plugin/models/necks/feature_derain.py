"""What the de-rain necks share: one block per level, tuple in, tuple out."""

from collections.abc import Callable, Sequence
from functools import partial

from mmdet.registry import MODELS
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from derain_plugin.models.layers.derain_blocks import (
    FeatureDerainBlock,
    LightweightDerainBlock,
    PlainRefineBlock,
    check_block_options,
)
from derain_plugin.models.layers.valid_area import clean_valid_area


class BaseFeatureDerain(BaseModule):
    """Apply one de-rain block to each level of a feature pyramid.

    Args:
        in_channels: Channels of each level, for example ``(128, 256, 512)``; any number of levels.
        build_block: Gives the block of a level from its channels. A block returns the cleaned
            map and its rain mask.
        init_cfg: mmengine initialisation. The weights that make a fresh neck the identity stay
            zero under anything but ``Pretrained``.

    Attributes:
        in_channels: Tuple of the channels of each level.
        out_channels: The same.

    Raises:
        ValueError: ``in_channels`` is no sequence of positive integers.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        build_block: Callable[[int], nn.Module],
        *,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = self.out_channels = _checked_channels(in_channels)
        self.blocks = ModuleList([build_block(channels) for channels in self.in_channels])

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Clean the levels.

        Args:
            feats: One ``(N, C_i, H_i, W_i)`` per level, ``C_i = in_channels[i]``, any size.

        Returns:
            The cleaned levels; same shapes and dtypes.

        Raises:
            ValueError: The levels do not have ``in_channels``.
        """
        return self.forward_with_masks(feats)[0]

    def rain_masks(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the masks that ``forward(feats)`` uses: ``(N, 1, H_i, W_i)`` per level, 0-1."""
        return self.forward_with_masks(feats)[1]

    def forward_with_masks(
        self, feats: Sequence[Tensor]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return what ``forward`` and ``rain_masks`` return, in one pass."""
        channels = tuple(feat.shape[1] for feat in feats)
        if channels != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} has in_channels {self.in_channels}, but the backbone gives "
                f"{channels}: set in_channels to the channels of the backbone's out_indices"
            )
        pairs = [
            clean_valid_area(block, feat) for block, feat in zip(self.blocks, feats, strict=True)
        ]
        return tuple(cleaned for cleaned, _ in pairs), tuple(mask for _, mask in pairs)


def _checked_channels(in_channels: Sequence[int]) -> tuple[int, ...]:
    is_sequence = isinstance(in_channels, Sequence) and not isinstance(in_channels, str)
    if not is_sequence or not in_channels or not all(_is_positive_int(c) for c in in_channels):
        raise ValueError(
            "in_channels must be one positive integer per level, such as (128, 256, 512), "
            f"got {in_channels!r}"
        )
    return tuple(in_channels)


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


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


@MODELS.register_module()
class PlainFeatureRefine(BaseFeatureDerain):
    """Plain convolutions on every level, instead of :class:`MultiScaleFeatureDerain`.

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

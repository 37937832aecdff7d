"""What the de-rain necks share: one block per level, tuple in, tuple out."""

from collections.abc import Callable, Sequence

from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn


class BaseFeatureDerain(BaseModule):
    """Apply one de-rain block to each level of a feature pyramid.

    Args:
        in_channels: Channels of each level, for example ``(128, 256, 512)``; any number of levels.
        build_block: Gives the block of a level from its channels. A block returns the cleaned
            map and its rain mask.
        init_cfg: mmengine initialisation. The gates that make a fresh neck the identity stay
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
        pairs = [block(feat) for block, feat in zip(self.blocks, feats, strict=True)]
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

"""De-rain blocks inside a backbone, where features are still fine and rain is still local."""

from collections.abc import Mapping, Sequence

from mmdet.registry import MODELS
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from derain_plugin.models.layers.derain_blocks import FeatureDerainBlock, check_block_options
from derain_plugin.models.layers.rain_gate import RainGate
from derain_plugin.models.layers.valid_area import clean_valid_area, judge_valid_area


@MODELS.register_module()
class EarlyFeatureDerain(BaseModule):
    """Small de-rain blocks after chosen parts of a backbone, and one gate for all of them.

    What a block cleans goes on to the next stage, so all later features profit. The gate looks at
    the stem's map once per image and scales what the blocks change, down to nothing at 0: clean
    images keep their features. A fresh module is bitwise the identity. With the default places
    of R18 it has 4.1 K parameters.

    Args:
        stage_channels: Channels of each part of the backbone by its name, in order, from the
            stem on; :class:`RTDETRBackbone` fills it in.
        places: After which of them a block cleans: ``stem`` (stride 4), ``stage1``, ...
        num_residual_blocks: Residual blocks with CBAM in each block.
        reduction: A block works at ``channels / reduction``, rounded up to a multiple of 8.
        gate: Whether there is a gate; without one the blocks clean every image alike.
        init_cfg: mmengine initialisation; the identity survives anything but ``Pretrained``.

    Attributes:
        blocks: A :class:`FeatureDerainBlock` by place. A forward hook on one sees its mask.
        gate: The :class:`RainGate`, or None. A forward hook on it sees its logits.

    Raises:
        ValueError: A place that is none of the backbone's or is named twice, or no place;
            ``num_residual_blocks`` or ``reduction`` that is no count.
    """

    def __init__(
        self,
        stage_channels: Mapping[str, int],
        places: Sequence[str] = ("stem", "stage1"),
        *,
        num_residual_blocks: int = 1,
        reduction: int = 8,
        gate: bool = True,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        _check_places(places, list(stage_channels))
        check_block_options(num_residual_blocks, reduction)
        self.blocks = ModuleDict(
            {
                place: FeatureDerainBlock(
                    stage_channels[place], num_residual_blocks, reduction=reduction, gated=True
                )
                for place in places
            }
        )
        self.gate = RainGate(next(iter(stage_channels.values()))) if gate else None

    def rain_logits(self, stem: Tensor) -> Tensor | None:
        """Judge images by the stem's map ``(N, C, H, W)``: logits ``(N,)``, None without gate."""
        return None if self.gate is None else judge_valid_area(self.gate, stem)

    def forward(
        self, feat: Tensor, place: str, logits: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Clean the map of one part of the backbone.

        Args:
            feat: ``(N, C, H, W)``.
            place: The part's name.
            logits: What ``rain_logits`` returned.

        Returns:
            The map, cleaned if there is a block at ``place``, and that block's mask
            ``(N, 1, H, W)``, 0-1, or None.
        """
        if place not in self.blocks:
            return feat, None
        gate = None if logits is None else logits.sigmoid().to(feat.dtype).view(-1, 1, 1, 1)
        return clean_valid_area(self.blocks[place], feat, gate)


def _check_places(places: Sequence[str], known: list[str]) -> None:
    is_list = isinstance(places, Sequence) and not isinstance(places, str)
    if not is_list or not places or len(set(places)) < len(places) or not set(places) <= set(known):
        raise ValueError(
            f"places must be one or several of {known}, each once, such as ('stem', 'stage1'), "
            f"got {places!r}"
        )

"""A detector of two levels, a neck and a loss, to test ``DerainNeck`` with."""

import copy

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from torch import nn

CHANNELS = (8, 16)
FPN = dict(type="FPN", in_channels=list(CHANNELS), out_channels=8, num_outs=2)
DERAIN = dict(type="MultiScaleFeatureDerain", in_channels=CHANNELS)
DERAINED = dict(type="DerainNeck", derain=DERAIN, neck=FPN)


class ToyDetector(BaseModel):
    """Two levels, a neck and a loss."""

    def __init__(self, neck: dict) -> None:
        super().__init__()
        self.backbone = nn.ModuleList(
            nn.Conv2d(3, c, 3, stride=2 + i) for i, c in enumerate(CHANNELS)
        )
        self.neck = MODELS.build(neck)

    def forward(self, inputs: torch.Tensor, mode: str = "tensor"):
        outs = self.neck(tuple(conv(inputs) for conv in self.backbone))
        return dict(loss=sum(out.square().mean() for out in outs)) if mode == "loss" else outs


def toy(neck: dict = DERAINED, seed: int = 0) -> ToyDetector:
    torch.manual_seed(seed)
    return ToyDetector(copy.deepcopy(neck))


def feats() -> tuple[torch.Tensor, ...]:
    return tuple(torch.ones(1, c, 9, 6 - i) for i, c in enumerate(CHANNELS))

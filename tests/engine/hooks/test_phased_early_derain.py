"""Adapter use: only the blocks inside the backbone train."""

import pytest
import torch
from mmengine.model import BaseModel
from phased_runner import build_runner, changed, state_of
from tiny_rtdetr import TINY
from torch import Tensor, nn

from derain_plugin.models import RTDETRBackbone


class BackboneOnly(BaseModel):
    def __init__(self, frozen_stages: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = RTDETRBackbone(
            "r18",
            frozen_stages=frozen_stages,
            early_derain=dict(type="EarlyFeatureDerain"),
            **TINY,
        )

    def forward(self, inputs: Tensor, target: Tensor, mode: str = "tensor") -> dict[str, Tensor]:
        score = self.backbone(nn.functional.interpolate(inputs, size=32))[-1].mean((1, 2, 3))
        return dict(loss=(score - target).square().mean())


@pytest.mark.parametrize("frozen_stages", [-1, 0])
def test_the_rest_of_the_backbone_stays_bitwise_statistics_included(tmp_path, frozen_stages):
    model = BackboneOnly(frozen_stages)
    before = state_of(model)
    phases = [dict(name="adapter", epochs=(1, 2), lr={"backbone.derain": 1e-2})]
    build_runner(tmp_path, model=model, phases=phases, epochs=2, val_cfg=None,
                 val_dataloader=None, val_evaluator=None).train()  # fmt: skip
    moved = changed(before, state_of(model))
    assert any("running_mean" in name for name in before)
    assert moved == {name for name in before if name.startswith("backbone.derain.")}

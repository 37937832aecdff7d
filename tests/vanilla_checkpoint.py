"""Write a tiny vanilla detector whose features differ from image to image."""

from pathlib import Path

import torch
from tiny_rtdetr import build, tiny_rtdetr_cfg


def write_vanilla_checkpoint(path: Path) -> str:
    """Save an untrained detector; its BatchNorm has seen noise, or its features would be flat."""
    torch.manual_seed(0)
    model = build(tiny_rtdetr_cfg()).train()
    with torch.no_grad():
        for _ in range(50):
            model.backbone(torch.rand(2, 3, 64, 64))
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)

"""A tiny derained detector whose scores differ, its config and its weights."""

import cv2
import pytest
import torch
from mmdet.registry import MODELS
from tiny_rtdetr import TINY

from derain_plugin import load_config
from derain_plugin.apis import Detector
from derain_plugin.cli.machine import ROOT

CHILD = """
_base_ = {base!r}
data_root = {data_root!r}
classes = ("square", "disc")
image_size = 64
model = dict(
    backbone=dict({tiny}),
    neck=dict(derain=dict(in_channels=[16, 24, 32]), neck=dict({tiny})),
    bbox_head=dict({tiny}),
)
test_dataloader = dict(batch_size=4, num_workers=0)
custom_hooks = [*_base_.custom_hooks, dict(type="EMAHook")]
"""


@pytest.fixture(scope="session")
def config(coco_root, tmp_path_factory):
    path = tmp_path_factory.mktemp("export_config") / "tiny_derained.py"
    base = str(ROOT / "configs/rtdetr_r18_featderain_ms.py")
    tiny = ", ".join(f"{key}={value!r}" for key, value in TINY.items())
    path.write_text(CHILD.format(base=base, data_root=str(coco_root), tiny=tiny))
    return str(path)


@pytest.fixture(scope="session")
def checkpoint(config, tmp_path_factory):
    torch.manual_seed(0)
    model = MODELS.build(load_config(config).model)
    shake(model)
    path = tmp_path_factory.mktemp("export_weights") / "tiny.pth"
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


@pytest.fixture(scope="session")
def detector(config, checkpoint):
    return Detector(config, checkpoint, device="cpu")


@pytest.fixture(scope="session")
def images(coco_root):
    paths = sorted((coco_root / "val2017").iterdir())[:4]  # of several widths
    return {path.name: cv2.imread(str(path)) for path in paths}


@pytest.fixture(scope="session")
def shaken():
    return shake


@torch.no_grad()
def shake(model):
    """Move every weight and statistic, and let scores differ from query to query."""
    for name, parameter in model.named_parameters():
        is_score = "class_embed" in name or "enc_score_head" in name
        parameter.add_(torch.randn_like(parameter) * (0.7 if is_score else 0.05))
    model.train()
    for _ in range(30):
        feats = model.backbone(torch.rand(2, 3, 64, 64))
    model.neck(feats)
    model.eval()
    return model

# The adapter of rtdetr_r18_featderain_adapter.py beside an RF-DETR nano, without early blocks: a
# ViT has no maps of small stride for them to see streaks in.
_base_ = "./rtdetr_r18_featderain_adapter.py"
image_size = 384
load_from = "hf://Roboflow/rf-detr-nano"
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(arch="rfdetr_nano", early_derain=None),
    neck=dict(
        derain=dict(in_channels=[384] * 4, num_residual_blocks=1, reduction=8),
        neck=dict(arch="rfdetr_nano"),
    ),
    bbox_head=dict(arch="rfdetr_nano"),
    teacher=load_from,
    gate_weight=0.0,  # of the early blocks
)
phases = dict(
    fast=dict(lr={"_delete_": True, "neck.derain": 5e-4}),
    slow=dict(lr={"_delete_": True, "neck.derain": 1.7e-4}),
    settle=dict(lr={"_delete_": True, "neck.derain": 5e-5}),
)

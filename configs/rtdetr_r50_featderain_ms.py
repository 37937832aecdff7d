_base_ = "./rtdetr_r18_featderain_ms.py"
model = dict(
    backbone=dict(arch="r50", frozen_stages=0),  # upstream freezes the stem and BatchNorm
    neck=dict(derain=dict(in_channels=[512, 1024, 2048]), neck=dict(arch="r50")),
    bbox_head=dict(arch="r50"),
)
load_from = "hf://PekingU/rtdetr_r50vd"

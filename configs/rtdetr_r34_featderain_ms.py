_base_ = "./rtdetr_r18_featderain_ms.py"
model = dict(
    backbone=dict(arch="r34"), neck=dict(neck=dict(arch="r34")), bbox_head=dict(arch="r34")
)
load_from = "hf://PekingU/rtdetr_r34vd"

# The adapter of rtdetr_r18_featderain_adapter.py beside a DEIMv2-N.
_base_ = "./rtdetr_r18_featderain_adapter.py"
load_from = "hf://harshaljanjani/DEIMv2_HGNetv2_N_COCO_Transformers"  # upstream's weights, 43.0 AP
model = dict(
    data_preprocessor=dict(batch_augments=None),  # upstream: N and smaller without multi-scale
    backbone=dict(arch="deimv2_n"),
    neck=dict(derain=dict(in_channels=[512, 1024]), neck=dict(arch="deimv2_n")),
    bbox_head=dict(arch="deimv2_n"),
    teacher=load_from,
)

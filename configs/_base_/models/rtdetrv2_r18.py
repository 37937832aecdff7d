# RT-DETRv2-R18 (Lv et al. 2024): RT-DETR-R18 with a refined decoder, trained at one size.
_base_ = "./rtdetr_r18.py"
model = dict(
    data_preprocessor=dict(batch_augments=None),  # upstream: R18 alone without multi-scale
    backbone=dict(arch="rtdetrv2_r18"),
    neck=dict(arch="rtdetrv2_r18"),
    bbox_head=dict(arch="rtdetrv2_r18"),
)

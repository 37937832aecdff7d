# RF-DETR nano (Robinson et al. 2025): DINOv2-S with windows; small, medium and large by `arch`.
_base_ = "./rtdetr_r18.py"
model = dict(
    data_preprocessor=dict(  # ImageNet's, where the others have 0 and 255
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
    ),
    backbone=dict(arch="rfdetr_nano"),
    neck=dict(arch="rfdetr_nano"),
    bbox_head=dict(arch="rfdetr_nano"),
)

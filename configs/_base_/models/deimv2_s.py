# DEIMv2-S (Huang et al. 2025): a ViT distilled from DINOv3; M, L and X by `arch`.
_base_ = "./dfine_s.py"  # whose sizes of batches are those of S here, too
model = dict(
    data_preprocessor=dict(  # ImageNet's, where the others have 0 and 255
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
    ),
    backbone=dict(arch="deimv2_s"),
    neck=dict(arch="deimv2_s"),
    bbox_head=dict(arch="deimv2_s"),
)

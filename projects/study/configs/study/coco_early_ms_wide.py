# Early de-rain blocks and the multi-scale neck, twice and more as wide.
_base_ = "coco_early_ms.py"
model = dict(
    backbone=dict(early_derain=dict(reduction=2)),  # 8
    neck=dict(derain=dict(reduction=2)),  # 4
)

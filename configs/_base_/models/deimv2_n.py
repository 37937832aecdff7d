# DEIMv2-N (Huang et al. 2025): HGNetV2-B0 and two levels; Pico, Femto and Atto by `arch`.
_base_ = "./rtdetr_r18.py"
model = dict(
    data_preprocessor=dict(batch_augments=None),  # upstream: N and smaller without multi-scale
    backbone=dict(arch="deimv2_n"),
    neck=dict(arch="deimv2_n"),
    bbox_head=dict(arch="deimv2_n"),
)

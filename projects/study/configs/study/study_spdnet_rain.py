# The small SPDNet of toy_spdnet_rain.py, trained on the study's images, for longer.
_base_ = "../toy/toy_spdnet_rain.py"
data_root = "data/study_coco/"
train_dataloader = dict(dataset=dict(percent=50))  # 100
train_cfg = dict(max_epochs=24, val_interval=8)  # 6, 1
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=24, eta_min_ratio=0.02, convert_to_iter_based=True),  # 6
]

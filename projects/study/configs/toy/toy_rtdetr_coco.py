# The toy detector without a neck, trained on clean images from scratch.
_base_ = [
    "_base_/toy_rtdetr.py",
    "_base_/toy_coco.py",
    "../../../../configs/_base_/schedules/rtdetr_72e.py",
    "../../../../configs/_base_/default_runtime.py",
]
train_dataloader = dict(
    dataset=dict(rainy={{_base_.train_dataloader.dataset.clean}}, rain_ratio=0.0)  # 0.7
)
train_cfg = dict(max_epochs=4, val_interval=4)  # 72, 1
optim_wrapper = dict(
    optimizer=dict(lr=2e-3),  # 1e-4
    paramwise_cfg=dict(  # no pretrained backbone to preserve
        custom_keys=dict(backbone=dict(lr_mult=1.0), normalization=dict(lr_mult=1.0))
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=50),  # 2000
    dict(type="CosineAnnealingLR", begin=2, end=4, eta_min_ratio=0.05, convert_to_iter_based=True),
]
ema = dict(**_base_.custom_hooks[0])
ema.update(momentum=2e-3, gamma=100)  # 1e-4, 2000
custom_hooks = [ema]
default_hooks = dict(checkpoint=dict(save_best="clean/coco/bbox_mAP"))

del ema

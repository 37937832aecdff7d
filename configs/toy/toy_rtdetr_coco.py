# The toy detector without a neck, trained on clean pictures from scratch.
_base_ = [
    "_base_/toy_rtdetr.py",
    "_base_/toy_coco.py",
    "../_base_/schedules/rtdetr_72e.py",
    "../_base_/default_runtime.py",
]
train_dataloader = dict(
    dataset=dict(rainy={{_base_.train_dataloader.dataset.clean}}, rain_ratio=0.0)  # 0.7
)
train_cfg = dict(max_epochs=12)  # 72
optim_wrapper = dict(
    optimizer=dict(lr=1.5e-3),  # 1e-4
    paramwise_cfg=dict(  # no pretrained backbone to preserve
        custom_keys=dict(backbone=dict(lr_mult=1.0), normalization=dict(lr_mult=1.0))
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=200),  # 2000
    dict(
        type="CosineAnnealingLR",
        begin=6,
        end=12,
        T_max=6,
        eta_min_ratio=0.05,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=2e-3,
        gamma=100,
        update_buffers=True,
        priority=49,
    ),
]
default_hooks = dict(checkpoint=dict(save_best="clean/coco/bbox_mAP"))

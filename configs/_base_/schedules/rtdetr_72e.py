# Upstream's schedule for RT-DETR-R18, which gave 46.5 AP on COCO there.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=72, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            "backbone": dict(lr_mult=0.1),
            "normalization": dict(lr_mult=0.1, decay_mult=0.0),  # the backbone's BatchNorm
        },
    ),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    accumulative_counts=1,
)
param_scheduler = [dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=2000)]
auto_scale_lr = dict(enable=False, base_batch_size=16)

custom_hooks = [
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=1e-4,
        gamma=2000,
        update_buffers=True,
        priority=49,
    ),
]

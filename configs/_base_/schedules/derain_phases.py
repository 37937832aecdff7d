# Epochs 1-5: only the de-rain neck, at 5e-4. Epochs 6-15: the neck at 1e-4, the rest at 1e-5.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=15, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(
    type="OptimWrapper",
    constructor="PhasedOptimWrapperConstructor",
    optimizer=dict(type="AdamW", lr=5e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    accumulative_counts=1,
)
auto_scale_lr = dict(enable=False, base_batch_size=16)

# Of the PhasedTrainingHook in default_runtime.py. Children merge into them: one number of one phase
# is one override, such as phases.joint.epochs=4,None.
phases = dict(
    derain=dict(epochs=(1, 5), lr={"neck.derain": 5e-4}),
    joint=dict(epochs=(6, None), lr={"neck.derain": 1e-4, "*": 1e-5}),  # to the end
)
custom_hooks = []  # for children: custom_hooks = [*_base_.custom_hooks, ...]

# The authors' command: Adam at 5e-4, batch 16, 300 epochs; the steps are their code's default.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=300, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=5e-4))
param_scheduler = [
    dict(type="MultiStepLR", milestones=[100, 150, 200, 230, 260, 280], gamma=0.5),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)

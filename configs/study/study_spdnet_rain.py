# The small SPDNet of toy_spdnet_rain.py, trained on the study's pictures and all of its rain.
_base_ = "../toy/toy_spdnet_rain.py"
data_root = "data/study_coco/"
model = dict(restorer=dict(scale=255.0, identity=True))  # 1, False: for so few iterations
load, pair, *rest = _base_.train_pipeline
train_dataloader = dict(
    dataset=dict(pipeline=[load, dict(pair, severity=(1, 5)), *rest], percent=50)  # (3, 5), 100
)
# As the toy is trained, its pictures are grey and blurred, and detectors find nothing in them.
train_cfg = dict(max_epochs=24, val_interval=8)  # 6, 1
optim_wrapper = dict(optimizer=dict(lr=1e-3))  # 2e-3
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=24, eta_min_ratio=0.02, convert_to_iter_based=True),  # 6
]

del load, pair, rest

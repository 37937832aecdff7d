# The trained toy detector with the multi-scale neck, in two phases on 70 % rainy images.
_base_ = [
    "_base_/toy_rtdetr.py",
    "_base_/toy_coco.py",
    "../../../../configs/_base_/schedules/derain_phases.py",
    "../../../../configs/_base_/default_runtime.py",
]
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[64, 96, 128]),
        neck={{_base_.model.neck}},
    )
)
percent = 50  # 100
train_cfg = dict(max_epochs=6)  # 15
phases = dict(  # higher rates than in the COCO configs, for fewer iterations
    derain=dict(epochs=(1, 2), lr={"neck.derain": 3e-3}),  # (1, 5), 5e-4
    joint=dict(epochs=(3, None), lr={"neck.derain": 1e-3, "*": 1e-4}),  # (6, None), 1e-4, 1e-5
)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))  # 3: the end of phase 1 is kept
load_from = "work_dirs/toy_rtdetr_coco/epoch_4.pth"

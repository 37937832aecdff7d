# An early de-rain block and the multi-scale neck, trained beside an RT-DETR-R18 that stays as it is
# by its detection loss and by the clean twin of each image: see docs/neck.md and docs/study.md.
_base_ = "./rtdetr_r18_featderain_ms.py"
synthetic_rain = (1, 5)  # None: losses by the twin need to know where the streaks are
load, *steps = [s for s in _base_.train_pipeline if s["type"] != "Uint8PhotoMetricDistortion"]
train_dataloader = dict(
    dataset=dict(
        clean=dict(pipeline=[load, dict(type="RainTwin", severity=0, seed=0), *steps]),
        rainy=dict(pipeline=[load, dict(type="RainTwin", seed=0), *steps]),
    )
)
model = dict(
    type="TwinSupervisedRTDETR",  # RTDETR
    data_preprocessor=dict(type="RainTwinDataPreprocessor"),  # DetDataPreprocessor
    backbone=dict(early_derain=dict(type="EarlyFeatureDerain", places=("stem",))),
    teacher=_base_.load_from,  # set both alike
    consistency_weight=5.0,  # 0
    mask_weight=1.0,  # 0
    gate_weight=0.2,  # 0
)
phases = dict(
    _delete_=True,
    fast=dict(epochs=(1, 8), lr={"backbone.derain": 5e-4, "neck.derain": 5e-4}),
    slow=dict(epochs=(9, 12), lr={"backbone.derain": 1.7e-4, "neck.derain": 1.7e-4}),
    settle=dict(epochs=(13, None), lr={"backbone.derain": 5e-5, "neck.derain": 5e-5}),
)
del load, steps

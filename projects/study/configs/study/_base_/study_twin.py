# The multi-scale neck with what the losses by the clean twin need; each arm turns some on.
_base_ = "../study_featderain_ms.py"
load, *rest = _base_.train_dataloader.dataset.clean.pipeline
train_dataloader = dict(
    dataset=dict(
        clean=dict(pipeline=[load, dict(type="RainTwin", severity=0, seed=0), *rest]),
        rainy=dict(pipeline=[load, dict(type="RainTwin", seed=0), *rest]),
    )
)
model = dict(
    type="TwinSupervisedRTDETR",  # RTDETR
    data_preprocessor=dict(type="RainTwinDataPreprocessor"),  # DetDataPreprocessor
    teacher="work_dirs/study_rtdetr_coco/epoch_20.pth",
)
del load, rest

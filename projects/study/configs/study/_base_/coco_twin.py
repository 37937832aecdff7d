# The multi-scale neck with what the losses by the clean twin need; each arm turns some on.
_base_ = "../coco_featderain_ms.py"
load, labels, expand, *rest = _base_.train_pipeline
steps = [labels, dict(expand, mean=[0] * 7), *rest]
train_dataloader = dict(
    dataset=dict(
        clean=dict(pipeline=[load, dict(type="RainTwin", severity=0, seed=0), *steps]),
        rainy=dict(pipeline=[load, dict(type="RainTwin", seed=0), *steps]),
    )
)
model = dict(
    type="TwinSupervisedRTDETR",  # RTDETR
    data_preprocessor=dict(type="RainTwinDataPreprocessor"),  # DetDataPreprocessor
    teacher=_base_.load_from,
)
del load, labels, expand, rest, steps

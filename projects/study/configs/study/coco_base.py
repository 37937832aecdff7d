# What the arms share that start from the published RT-DETR-R18; the table of what each one sets is
# projects/study/arm_configs.py. Rain is rendered while loading, as some arms need to know where
# the streaks are; those can have no colour distortion either.
_base_ = [
    "../../../../configs/_base_/models/rtdetr_r18.py",
    "../../../../configs/_base_/datasets/coco_rain_mix.py",
    "../../../../configs/_base_/schedules/derain_phases.py",
    "../../../../configs/_base_/default_runtime.py",
]
synthetic_rain = (1, 5)  # None
train_pipeline = [s for s in _base_.train_pipeline if s["type"] != "Uint8PhotoMetricDistortion"]
train_dataloader = dict(
    dataset=dict(clean=dict(pipeline=train_pipeline), rainy=dict(pipeline=train_pipeline))
)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))  # 3: arms are tested after phase 1, too
load_from = "hf://PekingU/rtdetr_r18vd"

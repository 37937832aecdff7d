# What all arms share that start from the study's vanilla detector.
_base_ = [
    "study_rtdetr.py",
    "study_coco.py",
    "../../../../../configs/_base_/schedules/derain_phases.py",
    "../../../../../configs/_base_/default_runtime.py",
]
percent = 40  # 100
train_cfg = dict(val_interval=5)  # 1
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))  # 3: arms are tested after phase 1, too
load_from = "work_dirs/study_rtdetr_coco/epoch_20.pth"

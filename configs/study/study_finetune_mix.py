# The control: no neck, on 70 % rainy pictures.
_base_ = [
    "_base_/study_rtdetr.py",
    "_base_/study_coco.py",
    "../_base_/schedules/derain_phases.py",
    "../_base_/default_runtime.py",
]
train_cfg = dict(max_epochs=4)  # 15
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="finetune", epochs=(1, 4), lr={"*": 1e-4})]),
]
load_from = "work_dirs/study_rtdetr_coco/epoch_16.pth"

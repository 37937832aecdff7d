# The control: no neck, phase 2 only, on exactly the images, rain and order of epochs 3-6.
_base_ = [
    "_base_/toy_rtdetr.py",
    "_base_/toy_coco.py",
    "../../../../configs/_base_/schedules/derain_phases.py",
    "../../../../configs/_base_/default_runtime.py",
]
percent = 50  # 100
train_cfg = dict(max_epochs=4)  # 15
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="finetune", epochs=(1, 4), lr={"*": 1e-4})]),
]
default_hooks = dict(sampler_seed=dict(epoch_offset=2))
load_from = "work_dirs/toy_rtdetr_coco/epoch_10.pth"

# The control: no neck, phase 2 only, on exactly the images, rain and order of epochs 3-6.
_base_ = [
    "_base_/toy_rtdetr.py",
    "_base_/toy_coco.py",
    "../../../../configs/_base_/schedules/derain_phases.py",
    "../../../../configs/_base_/default_runtime.py",
]
percent = 50  # 100
train_cfg = dict(max_epochs=4)  # 15
phases = dict(_delete_=True, finetune=dict(epochs=(1, None), lr={"*": 1e-4}))
default_hooks = dict(sampler_seed=dict(epoch_offset=2))
load_from = "work_dirs/toy_rtdetr_coco/epoch_4.pth"

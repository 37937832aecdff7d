# The control: no neck, phase 2 only, on exactly the images of epochs 6-15: the same order, rain
# and augmentations.
_base_ = [
    "_base_/models/rtdetr_r18.py",
    "_base_/datasets/coco_rain_mix.py",
    "_base_/schedules/derain_phases.py",
    "_base_/default_runtime.py",
]
train_cfg = dict(max_epochs=10)  # 15
phases = dict(_delete_=True, finetune=dict(epochs=(1, None), lr={"*": 1e-5}))
default_hooks = dict(sampler_seed=dict(epoch_offset=5))
load_from = "hf://PekingU/rtdetr_r18vd"

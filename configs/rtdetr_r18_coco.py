# Vanilla RT-DETR-R18 on clean images; validation shows what rain costs it.
_base_ = [
    "_base_/models/rtdetr_r18.py",
    "_base_/datasets/coco_rain_mix.py",
    "_base_/schedules/rtdetr_72e.py",
    "_base_/default_runtime.py",
]
train_dataloader = dict(
    dataset=dict(
        rainy={{_base_.train_dataloader.dataset.clean}},
        rain_ratio=0.0,  # 0.7
    )
)
default_hooks = dict(checkpoint=dict(save_best="clean/coco/bbox_mAP"))  # rainy
load_from = "hf://PekingU/rtdetr_r18vd"  # None: from upstream's initialisation

# RT-DETR-R18 with the multi-scale de-rain neck, trained in two phases on 70 % rainy images.
_base_ = [
    "_base_/models/rtdetr_r18.py",
    "_base_/datasets/coco_rain_mix.py",
    "_base_/schedules/derain_phases.py",
    "_base_/default_runtime.py",
]
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[128, 256, 512]),
        neck={{_base_.model.neck}},
    )
)
load_from = "hf://PekingU/rtdetr_r18vd"

# RT-DETRv2-R18 with the multi-scale de-rain neck, in the two phases of RT-DETR-R18.
_base_ = [
    "_base_/models/rtdetrv2_r18.py",
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
load_from = "hf://PekingU/rtdetr_v2_r18vd"  # upstream's weights, 48.1 AP on COCO

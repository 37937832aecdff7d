# DEIMv2-N with the multi-scale de-rain neck, in the two phases of RT-DETR-R18.
_base_ = [
    "_base_/models/deimv2_n.py",
    "_base_/datasets/coco_rain_mix.py",
    "_base_/schedules/derain_phases.py",
    "_base_/default_runtime.py",
]
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[512, 1024]),
        neck={{_base_.model.neck}},
    )
)
load_from = "hf://harshaljanjani/DEIMv2_HGNetv2_N_COCO_Transformers"  # upstream's weights, 43.0 AP

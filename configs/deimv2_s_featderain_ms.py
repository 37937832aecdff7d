# DEIMv2-S, which has a DINOv3, with the multi-scale de-rain neck, in the two phases of RT-DETR-R18.
_base_ = [
    "_base_/models/deimv2_s.py",
    "_base_/datasets/coco_rain_mix.py",
    "_base_/schedules/derain_phases.py",
    "_base_/default_runtime.py",
]
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(
            type="MultiScaleFeatureDerain",
            in_channels=[192] * 3,
            num_residual_blocks=1,  # narrow blocks, as behind every ViT
            reduction=8,
        ),
        neck={{_base_.model.neck}},
    )
)
load_from = "hf://harshaljanjani/DEIMv2_DINOv3_S_COCO_Transformers"  # upstream's weights, 50.9 AP

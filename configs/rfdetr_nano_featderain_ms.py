# RF-DETR nano with the multi-scale de-rain neck, in the two phases of RT-DETR-R18.
_base_ = [
    "_base_/models/rfdetr_nano.py",
    "_base_/datasets/coco_rain_mix.py",
    "_base_/schedules/derain_phases.py",
    "_base_/default_runtime.py",
]
image_size = 384  # 512, 576 and 704 for small, medium and large
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(
            type="MultiScaleFeatureDerain",
            in_channels=[384] * 4,
            num_residual_blocks=1,  # narrow blocks, as behind every ViT
            reduction=8,
        ),
        neck={{_base_.model.neck}},
    )
)
load_from = "hf://Roboflow/rf-detr-nano"

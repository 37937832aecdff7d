# The multi-scale neck, in two phases.
_base_ = "_base_/coco_mix.py"
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[128, 256, 512]),
        neck={{_base_.model.neck}},
    )
)

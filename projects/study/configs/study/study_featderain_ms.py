# The multi-scale neck, in two phases.
_base_ = "_base_/study_mix.py"
model = dict(
    neck=dict(
        _delete_=True,
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[64, 128, 192]),
        neck={{_base_.model.neck}},
    )
)
custom_hooks = [
    dict(
        type="PhasedTrainingHook",
        phases=[  # higher rates than in the COCO configs, for fewer iterations
            dict(name="derain", epochs=(1, 5), lr={"neck.derain": 3e-3}),
            dict(name="joint", epochs=(6, 15), lr={"neck.derain": 1e-3, "*": 1e-4}),
        ],
    ),
]

# Early de-rain blocks alone, in two phases.
_base_ = "_base_/study_mix.py"
model = dict(backbone=dict(early_derain=dict(type="EarlyFeatureDerain")))
phases = [
    dict(name="derain", epochs=(1, 5), lr={"backbone.derain": 3e-3}),
    dict(name="joint", epochs=(6, 15), lr={"backbone.derain": 1e-3, "*": 1e-4}),
]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del phases

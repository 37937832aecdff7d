# Early de-rain blocks and the multi-scale neck alone, for all epochs: the detector stays as it is.
_base_ = "study_early_ms_twin.py"
phases = [
    dict(name="fast", epochs=(1, 8), lr={"backbone.derain": 3e-3, "neck.derain": 3e-3}),
    dict(name="slow", epochs=(9, 12), lr={"backbone.derain": 1e-3, "neck.derain": 1e-3}),
    dict(name="settle", epochs=(13, 15), lr={"backbone.derain": 3e-4, "neck.derain": 3e-4}),
]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del phases

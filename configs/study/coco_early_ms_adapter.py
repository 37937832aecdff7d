# Early de-rain blocks and the multi-scale neck alone, for all epochs: the detector stays as it is.
_base_ = "coco_early_ms_twin.py"
phases = [
    dict(name="fast", epochs=(1, 8), lr={"backbone.derain": 5e-4, "neck.derain": 5e-4}),
    dict(name="slow", epochs=(9, 12), lr={"backbone.derain": 1.7e-4, "neck.derain": 1.7e-4}),
    dict(name="settle", epochs=(13, 15), lr={"backbone.derain": 5e-5, "neck.derain": 5e-5}),
]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del phases

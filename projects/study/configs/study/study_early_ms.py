# Early de-rain blocks and the multi-scale neck, in two phases.
_base_ = "study_featderain_ms.py"
model = dict(backbone=dict(early_derain=dict(type="EarlyFeatureDerain")))
fast = {"backbone.derain": 3e-3, "neck.derain": 3e-3}
slow = {"backbone.derain": 1e-3, "neck.derain": 1e-3, "*": 1e-4}
phases = [dict(name="derain", epochs=(1, 5), lr=fast), dict(name="joint", epochs=(6, 15), lr=slow)]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del fast, slow, phases

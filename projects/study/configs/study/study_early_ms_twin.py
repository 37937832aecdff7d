# Early de-rain blocks and the multi-scale neck, with all losses by the clean twin.
_base_ = "_base_/study_twin.py"
model = dict(
    backbone=dict(early_derain=dict(type="EarlyFeatureDerain")),
    consistency_weight=5.0,  # 0
    mask_weight=1.0,  # 0
    gate_weight=0.2,  # 0
)
fast = {"backbone.derain": 3e-3, "neck.derain": 3e-3}
slow = {"backbone.derain": 1e-3, "neck.derain": 1e-3, "*": 1e-4}
phases = [dict(name="derain", epochs=(1, 5), lr=fast), dict(name="joint", epochs=(6, 15), lr=slow)]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del fast, slow, phases

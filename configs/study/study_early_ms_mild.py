# The first ten epochs of a curriculum: early de-rain blocks and multi-scale neck, in mild rain.
_base_ = "study_early_ms.py"
synthetic_rain = (1, 3)  # (1, 5)
train_cfg = dict(max_epochs=10)  # 15
fast = {"backbone.derain": 3e-3, "neck.derain": 3e-3}
slow = {"backbone.derain": 1e-3, "neck.derain": 1e-3, "*": 1e-4}
phases = [dict(name="derain", epochs=(1, 5), lr=fast), dict(name="joint", epochs=(6, 10), lr=slow)]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del fast, slow, phases

# The first ten epochs of a curriculum: early de-rain blocks and multi-scale neck, in mild rain.
_base_ = "coco_early_ms.py"
synthetic_rain = (1, 3)  # (1, 5)
train_cfg = dict(max_epochs=10)  # 15
fast = {"backbone.derain": 5e-4, "neck.derain": 5e-4}
slow = {"backbone.derain": 1e-4, "neck.derain": 1e-4, "*": 1e-5}
phases = [dict(name="derain", epochs=(1, 5), lr=fast), dict(name="joint", epochs=(6, 10), lr=slow)]
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del fast, slow, phases

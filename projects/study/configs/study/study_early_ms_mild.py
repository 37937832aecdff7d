# The first ten epochs of a curriculum: early de-rain blocks and multi-scale neck, in mild rain.
_base_ = "study_early_ms.py"
synthetic_rain = (1, 3)  # (1, 5)
train_cfg = dict(max_epochs=10)  # 15
alone, joint = _base_.custom_hooks[0].phases
phases = [alone, dict(joint, epochs=(6, 10))]  # (6, 15)
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
del alone, joint, phases

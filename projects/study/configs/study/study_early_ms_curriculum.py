# The last five epochs of the curriculum, in all rain, from the weights of study_early_ms_mild.py.
_base_ = "study_early_ms.py"
train_cfg = dict(max_epochs=5)  # 15
phases = [dict(_base_.custom_hooks[0].phases[1], epochs=(1, 5))]  # the joint one alone
custom_hooks = [dict(type="PhasedTrainingHook", phases=phases)]
default_hooks = dict(sampler_seed=dict(epoch_offset=10))
del phases

# The last five epochs of the curriculum, in all rain, from the weights of study_early_ms_mild.py.
_base_ = "study_early_ms.py"
train_cfg = dict(max_epochs=5)  # 15
slow = {"backbone.derain": 1e-3, "neck.derain": 1e-3, "*": 1e-4}
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="joint", epochs=(1, 5), lr=slow)]),
]
default_hooks = dict(sampler_seed=dict(epoch_offset=10))
del slow

# The control: no neck, on exactly the images, rain and order of epochs 6-15 of the other arms.
_base_ = "_base_/study_mix.py"
train_cfg = dict(max_epochs=10)  # 15
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="finetune", epochs=(1, 10), lr={"*": 1e-4})]),
]
default_hooks = dict(sampler_seed=dict(epoch_offset=5))

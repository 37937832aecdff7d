# The control, pulled towards the vanilla detector's features of the clean twin: no neck.
_base_ = "study_consistency.py"
train_cfg = dict(max_epochs=10)  # 15
model = dict(neck=dict(_delete_=True, **_base_.model.neck.neck))
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="finetune", epochs=(1, 10), lr={"*": 1e-4})]),
]
default_hooks = dict(sampler_seed=dict(epoch_offset=5))

# The control that also gets the five epochs in which the other arms train their neck alone.
_base_ = "_base_/study_mix.py"
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="finetune", epochs=(1, 15), lr={"*": 1e-4})]),
]

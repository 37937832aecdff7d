# The control at a third of the rate.
_base_ = "coco_finetune_mix.py"
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="finetune", epochs=(1, 10), lr={"*": 3e-6})]),
]

# The last five epochs of the curriculum, in all rain, from the weights of coco_early_ms_mild.py.
_base_ = "coco_early_ms.py"
train_cfg = dict(max_epochs=5)  # 15
slow = {"backbone.derain": 1e-4, "neck.derain": 1e-4, "*": 1e-5}
custom_hooks = [
    dict(type="PhasedTrainingHook", phases=[dict(name="joint", epochs=(1, 5), lr=slow)]),
]
default_hooks = dict(sampler_seed=dict(epoch_offset=10))
del slow

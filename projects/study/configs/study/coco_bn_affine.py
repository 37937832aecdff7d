# Only the weights and biases of BatchNorm train, on the images of the other arms' phase 1; its
# statistics follow.
_base_ = ["_base_/coco_mix.py", "_base_/batch_norms.py"]
train_cfg = dict(max_epochs=5)  # 15
norms = dict(name="norms", epochs=(1, 5), lr=dict.fromkeys(_base_.batch_norms, 1e-4))
custom_hooks = [dict(type="PhasedTrainingHook", phases=[norms])]
del norms

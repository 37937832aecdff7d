# Clean images, and the same ones as rainy_root has them.
_base_ = "../_base_/datasets/coco_rain_mix.py"

test_dataloader = {{_base_.val_dataloader}}
test_evaluator = {{_base_.val_evaluator}}
settings = dict(synthetic_rain=dict(rainy=["test_dataloader.dataset.datasets.1"]))

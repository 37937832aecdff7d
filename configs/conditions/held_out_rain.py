# Clean images, and the same ones in rain of a generator that is not ours: nothing trains on it.
_base_ = "../_base_/datasets/coco_rain_mix.py"

clean = _base_.test_dataloader.dataset.datasets[0]
load, *rest = _base_.test_pipeline
held_out = dict(clean, pipeline=[load, dict(type="HeldOutRain", seed=0), *rest])
test_dataloader = dict(dataset=dict(datasets=[clean, held_out]))
test_evaluator = dict(metrics=_base_.val_evaluator.metrics, dataset_prefixes=["clean", "held_out"])

del clean, load, rest, held_out

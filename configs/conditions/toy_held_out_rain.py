# As held_out_rain.py, for the test split of the toy data.
_base_ = "../toy/_base_/toy_coco.py"

clean = _base_.test_dataloader.dataset.datasets[0]
load, *rest = _base_.test_pipeline
held_out = dict(clean, pipeline=[load, dict(type="HeldOutRain", seed=0), *rest])
test_dataloader = dict(dataset=dict(datasets=[clean, held_out]))
test_evaluator = dict(
    metrics=_base_.test_evaluator.metrics[:2], dataset_prefixes=["clean", "held_out"]
)

del clean, load, rest, held_out

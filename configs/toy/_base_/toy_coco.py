# The pictures of tools/make_toy_coco.py. Rain is rendered while loading; tests run at every
# severity.
_base_ = "../../_base_/datasets/coco_rain_mix.py"

data_root = "data/toy_coco/"
classes = ("disc", "ring", "square", "triangle", "star", "cross", "arrow", "heart")
image_size = 160  # 640
synthetic_rain = (1, 5)

# Crops cost more than the toy detector itself, and its classes have hues.
left_out = ("Expand", "RandomApply", "PhotoMetricDistortion")
train_pipeline = [step for step in _base_.train_pipeline if step["type"] not in left_out]
train_dataloader = dict(
    batch_size=8,  # 16
    num_workers=2,  # 4
    dataset=dict(clean=dict(pipeline=train_pipeline), rainy=dict(pipeline=train_pipeline)),
)
val_dataloader = dict(num_workers=2)

clean_test = dict(**_base_.val_dataloader.dataset.datasets[0])
clean_test.update(
    ann_file=_base_.data_root + "annotations/instances_test2017.json",
    data_prefix=dict(img=_base_.data_root + "test2017/"),
)
load, *rest = clean_test["pipeline"]
rainy_tests = [
    dict(clean_test, pipeline=[load, dict(type="SyntheticRain", severity=k, seed=0), *rest])
    for k in (1, 2, 3, 4, 5)
]
test_dataloader = dict(
    num_workers=2,
    dataset=dict(_delete_=True, type="ConcatDataset", datasets=[clean_test, *rainy_tests]),
)
metric = dict(**_base_.val_evaluator.metrics[0])
metric.update(ann_file=clean_test["ann_file"])
test_evaluator = dict(
    metrics=[metric] * 6,
    dataset_prefixes=["clean", *(f"severity_{k}" for k in (1, 2, 3, 4, 5))],
)

del left_out, clean_test, load, rest, rainy_tests, metric

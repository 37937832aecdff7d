# The images of tools/make_toy_coco.py. Rain is rendered while loading.
_base_ = "../../../../../configs/_base_/datasets/coco_rain_mix.py"

data_root = "data/toy_coco/"
classes = ("disc", "ring", "square", "triangle", "star", "cross", "arrow", "heart")
image_size = 160  # 640
synthetic_rain = (1, 5)

# Crops cost more than the toy detector itself, and its classes have hues.
left_out = ("LazyExpand", "RandomApply", "Uint8PhotoMetricDistortion")
train_pipeline = [step for step in _base_.train_pipeline if step["type"] not in left_out]
train_dataloader = dict(
    batch_size=8,  # 16
    num_workers=2,  # 4
    dataset=dict(clean=dict(pipeline=train_pipeline), rainy=dict(pipeline=train_pipeline)),
)
val_dataloader = dict(num_workers=2)

# The test split, and rain of a generator that is not ours besides the severities.
ann_file = _base_.data_root + "annotations/instances_test2017.json"
images = dict(img=_base_.data_root + "test2017/")
tests = [
    dict(d, ann_file=ann_file, data_prefix=images) for d in _base_.test_dataloader.dataset.datasets
]
load, *rest = _base_.test_pipeline
tests.append(dict(tests[0], pipeline=[load, dict(type="HeldOutRain", seed=0), *rest]))
test_dataloader = dict(num_workers=2, dataset=dict(datasets=tests))
severities = _base_.test_evaluator.dataset_prefixes[1:]
test_evaluator = dict(
    metrics=[dict(_base_.val_evaluator.metrics[0], ann_file=ann_file)] * 7,
    dataset_prefixes=["clean", *severities, "held_out"],
    rainy_prefixes=severities,
)

del left_out, ann_file, images, tests, load, rest, severities

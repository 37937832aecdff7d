# Clean COCO, and photographs of real rain with labels of their own, for example DAWN's:
#   python tools/dataset_converters/convert_labels.py voc data/real_rain/images \
#       data/real_rain/labels data/real_rain/annotations.json
# The images are others, and so may be the classes: the two rows cannot be subtracted.
_base_ = "../_base_/datasets/coco_rain_mix.py"

rainy_root = "data/real_rain/"  # data/coco_rain/; holds annotations.json and images/
clean = _base_.test_dataloader.dataset.datasets[0]
ann_file = _base_.rainy_root + "annotations.json"
images = dict(img=_base_.rainy_root + "images/")
real = dict(clean, ann_file=ann_file, data_prefix=images)
test_dataloader = dict(dataset=dict(datasets=[clean, real]))
metric = _base_.val_evaluator.metrics[0]
test_evaluator = dict(
    metrics=[metric, dict(metric, ann_file=ann_file)],
    dataset_prefixes=["clean", "real"],
    rainy_prefixes=[],
)

del clean, ann_file, images, real, metric

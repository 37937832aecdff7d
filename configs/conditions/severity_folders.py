# Clean images and severities 1-5 as the default test, but from folders, written by
#   python tools/make_rainy_coco.py data/coco/val2017 data/coco_severities \
#       --severity 1-5 --per-severity
_base_ = "../_base_/datasets/coco_rain_mix.py"

rainy_root = "data/coco_severities/"  # data/coco_rain/
clean = _base_.test_dataloader.dataset.datasets[0]
folders = [f"{_base_.rainy_root}severity_{k}/" for k in (1, 2, 3, 4, 5)]
test_dataloader = dict(
    dataset=dict(datasets=[clean, *(dict(clean, data_prefix=dict(img=f)) for f in folders)])
)

del clean, folders

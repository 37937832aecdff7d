# SPDNet, trained to restore COCO's images from our rain; rtdetr_r18_spdnet.py takes the result.
_base_ = [
    "_base_/datasets/coco_rain_pairs.py",
    "_base_/schedules/spdnet_300e.py",
    "_base_/default_runtime.py",
]
model = dict(type="SupervisedRestorer", restorer=dict(type="SPDNet"))
default_hooks = dict(
    checkpoint=dict(save_best="restoration/PSNR", rule="greater"),  # rainy/coco/bbox_mAP
)

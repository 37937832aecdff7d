# mmdet's Faster R-CNN with the multi-scale de-rain neck in front of its FPN. Model, pipelines and
# weights are mmdet's own; data, rain, phases and evaluation are those of RT-DETR.
_base_ = [
    "../_base_/datasets/coco_rain_mix.py",
    "../_base_/schedules/derain_phases.py",
    "../_base_/default_runtime.py",
]
# mmengine refuses two bases that set the same keys; and imports must come after _base_.
from mmengine.hub import get_config

from derain_plugin.config.conditions import with_pipeline

vanilla = get_config("mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", pretrained=True)
model = dict(
    vanilla.model,
    backbone=dict(vanilla.model.backbone, init_cfg=None),  # torchvision://; load_from has it all
    neck=dict(
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[256, 512, 1024, 2048]),
        neck=vanilla.model.neck,
    ),
)
load_from = vanilla.model_path
settings = dict(classes=dict(num_classes=["model.roi_head.bbox_head.num_classes"]))

train_pipeline = vanilla.train_pipeline
test_pipeline = vanilla.test_pipeline
written = _base_.test_pipeline
train_dataloader = dict(
    with_pipeline(_base_.train_dataloader, train_pipeline, written=_base_.train_pipeline),
    batch_size=2,  # 16
)
optim_wrapper = dict(accumulative_counts=8)  # 1: still 16 images to a step, on one GPU
val_dataloader = dict(
    with_pipeline(_base_.val_dataloader, test_pipeline, written=written), batch_size=1
)
test_dataloader = dict(
    with_pipeline(_base_.test_dataloader, test_pipeline, written=written), batch_size=1
)

del vanilla, written

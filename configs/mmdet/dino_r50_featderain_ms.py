# mmdet's DINO with the multi-scale de-rain neck in front of its ChannelMapper, which makes a fourth
# level from the third, clean one. For the rest see faster_rcnn_r50_fpn_featderain_ms.py.
_base_ = [
    "../_base_/datasets/coco_rain_mix.py",
    "../_base_/schedules/derain_phases.py",
    "../_base_/default_runtime.py",
]
from mmengine.hub import get_config

from derain_plugin.config.conditions import with_pipeline

vanilla = get_config("mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py", pretrained=True)
model = dict(
    vanilla.model,
    backbone=dict(vanilla.model.backbone, init_cfg=None),
    neck=dict(
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[512, 1024, 2048]),
        neck=vanilla.model.neck,
    ),
)
load_from = vanilla.model_path

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

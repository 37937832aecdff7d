# mmdet's RTMDet-s with the multi-scale de-rain neck in front of its CSPNeXtPAFPN. Its weights are
# trained, so we go on with the pipeline of its last 20 epochs, without mosaic, and need no switch
# of pipelines. For the rest see faster_rcnn_r50_fpn_featderain_ms.py.
_base_ = [
    "../_base_/datasets/coco_rain_mix.py",
    "../_base_/schedules/derain_phases.py",
    "../_base_/default_runtime.py",
]
from mmengine.hub import get_config

from derain_plugin.config.conditions import with_pipeline

vanilla = get_config("mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py", pretrained=True)
model = dict(
    vanilla.model,
    backbone=dict(vanilla.model.backbone, init_cfg=None),
    neck=dict(
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[128, 256, 512]),
        neck=vanilla.model.neck,
    ),
)
load_from = vanilla.model_path

train_pipeline = vanilla.train_pipeline_stage2
test_pipeline = vanilla.test_pipeline
written = _base_.test_pipeline
train_dataloader = with_pipeline(
    _base_.train_dataloader, train_pipeline, written=_base_.train_pipeline
)
optim_wrapper = dict(paramwise_cfg=dict(bypass_duplicate=True))  # its head shares convolutions
val_dataloader = with_pipeline(_base_.val_dataloader, test_pipeline, written=written)
test_dataloader = with_pipeline(_base_.test_dataloader, test_pipeline, written=written)

del vanilla, written

# mmdet's YOLOX-s with the multi-scale de-rain neck in front of its YOLOXPAFPN. Its weights are
# trained, so we go on with the pipeline of its last 15 epochs, without mosaic and mixup, and need
# no switch of pipelines. For the rest see faster_rcnn_r50_fpn_featderain_ms.py.
_base_ = [
    "../_base_/datasets/coco_rain_mix.py",
    "../_base_/schedules/derain_phases.py",
    "../_base_/default_runtime.py",
]
from mmengine.hub import get_config

from derain_plugin.config.conditions import with_pipeline

vanilla = get_config("mmdet::yolox/yolox_s_8xb8-300e_coco.py", pretrained=True)
model = dict(
    vanilla.model,
    data_preprocessor=dict(
        vanilla.model.data_preprocessor,
        # BatchSyncRandomResize from 480 to 800 px: the same sizes, but these follow image_size, and
        # a resumed run draws them as an uninterrupted one.
        batch_augments=[
            dict(
                type="BatchRandomResize",
                sizes=[32 * step for step in range(15, 26)],
                interpolation="bilinear",
            )
        ],
    ),
    neck=dict(
        type="DerainNeck",
        derain=dict(type="MultiScaleFeatureDerain", in_channels=[128, 256, 512]),
        neck=vanilla.model.neck,
    ),
)
load_from = vanilla.model_path

mixing = ("Mosaic", "RandomAffine", "MixUp")
train_pipeline = [
    *vanilla.train_dataset.dataset.pipeline,
    *(step for step in vanilla.train_pipeline if step["type"] not in mixing),
]
test_pipeline = vanilla.test_pipeline
written = _base_.test_pipeline
train_dataloader = with_pipeline(
    _base_.train_dataloader, train_pipeline, written=_base_.train_pipeline
)
val_dataloader = with_pipeline(_base_.val_dataloader, test_pipeline, written=written)
test_dataloader = with_pipeline(_base_.test_dataloader, test_pipeline, written=written)

del vanilla, mixing, written

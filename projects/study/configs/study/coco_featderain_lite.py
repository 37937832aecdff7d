# The lightweight neck, in two phases.
_base_ = "coco_featderain_ms.py"
model = dict(neck=dict(derain=dict(type="LightweightFeatureDerain")))  # MultiScaleFeatureDerain

# The lightweight neck, in two phases.
_base_ = "study_featderain_ms.py"
model = dict(neck=dict(derain=dict(type="LightweightFeatureDerain")))  # MultiScaleFeatureDerain

# The capacity control: plain convolutions of the multi-scale neck's parameters and operations.
_base_ = "study_featderain_ms.py"
model = dict(neck=dict(derain=dict(type="PlainFeatureRefine")))  # MultiScaleFeatureDerain

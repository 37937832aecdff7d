# The lightweight neck: tens of thousands of parameters.
_base_ = "./rtdetr_r18_featderain_ms.py"
model = dict(
    neck=dict(
        derain=dict(_delete_=True, type="LightweightFeatureDerain", in_channels=[128, 256, 512])
    )
)
